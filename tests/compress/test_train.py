"""Training: exact resume, batch order, the chosen weights, early stopping, excluded options, two processes."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgebert.bundle import file_sha256
from edgebert.compress import checkpoint
from edgebert.compress.batch import model_inputs
from edgebert.compress.data import encode_rows, read_task_data
from edgebert.compress.shortfalls import Standard
from edgebert.compress.train import LengthGroupedSampler, Training, _Trainer, train
from edgebert.compress.validation import Validation
from edgebert.recipe import TrainSettings, read_recipe
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

LABELS = ["neg", "pos"]


def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    return TRAINING.hard_loss(TRAINING.outputs(model(**model_inputs(batch))), batch)


@pytest.fixture
def make(checkpoint_with_data: tuple[Path, Path], recipe_file: Path, tmp_path: Path) -> Any:
    source, data_dir = checkpoint_with_data
    data = read_task_data(read_recipe(recipe_file), data_dir)
    encoder = TextEncoder(source / "tokenizer.json", 32)
    rows = encode_rows(data.train, data, encoder)

    def build(folder: str, validate: Any = None, **settings: Any) -> tuple[Any, Training]:
        model = checkpoint.load_model(source, "text-classification", LABELS, seed=3)
        settings = {"epochs": 2.0, "learning_rate": 1e-3, "batch_size": 16, "evaluations_per_epoch": 2} | settings
        return model, Training(
            "test",
            rows,
            validate or Validation(data.validation, data, encoder, "accuracy"),
            settings=TrainSettings(**settings),
            metric="accuracy",
            seed=3,
            folder=tmp_path / folder,
        )

    return build


@pytest.fixture
def checkpoint_with_data(checkpoint: Path, data_dir: Path) -> tuple[Path, Path]:
    return checkpoint, data_dir


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, training = make("whole")
    train(whole, training, loss)
    broken, training = make("broken")
    step = _Trainer.training_step

    def dies(self: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == 16:
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    monkeypatch.setattr(_Trainer, "training_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train(broken, training, loss)
    monkeypatch.undo()
    resumed, training = make("broken")
    figures = train(resumed, training, loss)
    assert figures["steps"] == 24
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))


@pytest.mark.slow
def test_training_teaches(make: Any) -> None:
    model, training = make("learns", epochs=12.0, learning_rate=3e-3, batch_size=8)
    assert train(model, training, loss)["validation_accuracy"] > 0.9


def test_the_weights_of_the_best_evaluation_are_kept(make: Any) -> None:
    figures, seen = iter([0.2, 0.6, 0.5, 0.6]), []

    def validate(model: Any) -> float:
        seen.append([parameter.detach().clone() for parameter in model.parameters()])
        return next(figures)

    model, training = make("best", validate)
    assert train(model, training, loss) == {"steps": 24.0, "validation_accuracy": 0.6}
    same = [all(map(torch.equal, model.parameters(), weights)) for weights in seen]
    assert same == [False, True, False, False]


def test_early_stopping_stops(make: Any) -> None:
    model, training = make("stops", epochs=50.0, learning_rate=1e-8, patience=2)
    assert train(model, training, loss)["steps"] < 100


def test_training_stops_when_its_time_is_over_with_its_best_evaluation(make: Any) -> None:
    model, training = make("late", epochs=50.0)
    standard = Standard("finetune", training.settings, "accuracy", rows=64)
    figures = train(model, replace(training, until=time.monotonic(), standard=standard), loss)
    assert figures["steps"] == 1
    assert figures["advice"] == ["stopped by the budget at step 1 of 600, with its best evaluation; raise --budget"]


def test_weight_decay_spares_biases_and_norms(make: Any) -> None:
    model, _ = make("decay")
    decayed = set(_Trainer.get_decay_parameter_names(None, model))
    spared = {name for name, _ in model.named_parameters()} - decayed
    assert all(name.endswith(".bias") or "LayerNorm" in name for name in spared)
    norms = {
        f"{name}.{part}"
        for name, module in model.named_modules()
        if isinstance(module, nn.LayerNorm)
        for part in ("weight", "bias")
    }
    assert norms <= spared


def test_batches_hold_texts_of_like_length_and_every_text_once() -> None:
    lengths = [3 + (at * 7919) % 61 for at in range(640)]
    sampler = LengthGroupedSampler(lengths, 16, seed=1)
    order = list(sampler)
    assert sorted(order) == list(range(640))
    spread = [
        max(lengths[at] for at in order[i : i + 16]) - min(lengths[at] for at in order[i : i + 16])
        for i in range(0, 640, 16)
    ]
    assert sum(spread) / len(spread) < 6
    assert order == list(LengthGroupedSampler(lengths, 16, seed=1))
    sampler.set_epoch(1)
    assert list(sampler) != order


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_two_processes_train_one_model(launcher: str, recipe_file: Path, data_dir: Path, tmp_path: Path) -> None:
    bin_ = Path(sys.executable).parent
    command = {
        "torchrun": [str(bin_ / "torchrun"), "--standalone", "--nproc-per-node", "2"],
        "accelerate": [
            str(bin_ / "accelerate"),
            "launch",
            "--cpu",
            "--num_processes",
            "2",
            "--main_process_port",
            "29612",
        ],
    }[launcher]
    out = tmp_path / "both"
    arguments = [
        "export",
        str(recipe_file),
        "--data-dir",
        str(data_dir),
        "--out",
        str(out),
        "--set",
        "quantize.format=none",
    ]
    arguments += [
        "--set",
        "finetune.epochs=1",
        "--set",
        "distill.epochs=1",
        "--set",
        "prune.recover.epochs=1",
        "--set",
        "distill.layers=[0]",
        "--set",
        "export.stages=false",
        "--set",
        'export.formats=["onnx"]',
    ]
    done = subprocess.run(
        [*command, "-m", "edgebert.cli", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("bundle:") == 1
    report = (next((tmp_path / "both.work").glob("finetune-*")) / "stage-report.json").read_text()
    assert '"steps": 24.0' in report
    assert file_sha256(out / "model.onnx")
