"""A killed or damaged training run resumes from its newest intact checkpoint and ends with the same weights."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from edgebert.compress import checkpoint, resume
from edgebert.compress.batch import model_inputs
from edgebert.compress.data import encode_rows, read_task_data
from edgebert.compress.train import Training, _Trainer, train
from edgebert.compress.validation import Validation
from edgebert.recipe import TrainSettings, read_recipe
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.training_table import training_task

pytestmark = pytest.mark.slow

TRAINING = training_task("text-classification")

FILES = [
    "config.json",
    "model.safetensors",
    "optimizer.pt",
    "rng_state.pth",
    "scheduler.pt",
    "trainer_state.json",
    "training_args.bin",
    "files.json",
]
DAMAGES: dict[str, Callable[[Path], object]] = {
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "missing": Path.unlink,
}


class Runs:
    """Train a tiny model for six steps; evaluate and save after every second step."""

    def __init__(self, source: Path, data_dir: Path, recipe: Path, root: Path) -> None:
        self.source, self.root = source, root
        data = read_task_data(read_recipe(recipe), data_dir)
        encoder = TextEncoder(source / "tokenizer.json", 32)
        self.rows = encode_rows(data.train, data, encoder)
        self.validation = Validation(data.validation, data, encoder, "accuracy")

    def train(self, folder: Path, validate: Any = None, **settings: Any) -> dict[str, Tensor]:
        settings = {"epochs": 1.0, "learning_rate": 1e-3, "batch_size": 32, "evaluations_per_epoch": 3} | settings
        model = checkpoint.load_model(self.source, "text-classification", ["neg", "pos"], seed=3)
        training = Training(
            "tiny",
            self.rows,
            validate or self.validation,
            settings=TrainSettings(**settings),
            metric="accuracy",
            seed=3,
            folder=folder,
        )
        self.figures = train(model, training, loss)
        # `save_model` sets the one entry that is left out.
        self.config = {**model.config.to_dict(), "architectures": None}
        return {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def killed(self, folder: Path, step: int, validate: Any = None, **settings: Any) -> Path:
        """Train until a step begins, then stop without any cleanup, like a killed process."""
        whole = _Trainer.training_step

        def dies(self: Any, *arguments: Any, **named: Any) -> Any:
            if self.state.global_step == step:
                raise KeyboardInterrupt
            return whole(self, *arguments, **named)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(_Trainer, "training_step", dies)
            with pytest.raises(KeyboardInterrupt):
                self.train(folder, validate, **settings)
        return folder


def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:
    return TRAINING.hard_loss(TRAINING.outputs(model(**model_inputs(batch))), batch)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def figures_of(*values: float) -> Callable[[Any], float]:
    """A metric that returns these values, one per evaluation."""
    left = iter(values)
    return lambda model: next(left)


@pytest.fixture(scope="module")
def runs(shallow_checkpoint: Path, data_dir: Path, recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(shallow_checkpoint, data_dir, recipe_file, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def undisturbed(runs: Runs) -> dict[str, Tensor]:
    return runs.train(runs.root / "undisturbed")


@pytest.fixture(scope="module")
def killed_at_5(runs: Runs) -> Path:
    """Checkpoints of a run that was killed at step 5; treat it as read-only."""
    return runs.killed(runs.root / "killed", 5)


@pytest.fixture
def killed(killed_at_5: Path, tmp_path: Path) -> Path:
    """A copy to damage, in another location, so that absolute paths are invalid."""
    return Path(shutil.copytree(killed_at_5, tmp_path / "killed"))


def test_the_files_of_a_checkpoint_are_the_ones_damaged_here(killed: Path) -> None:
    assert sorted(path.name for path in killed.iterdir() if path.name.startswith("ch")) == [
        "checkpoint-2",
        "checkpoint-4",
    ]
    assert sorted(path.name for path in (killed / "checkpoint-4").iterdir()) == sorted(FILES)


def test_a_checkpoint_names_no_folder_that_it_has_left(killed: Path) -> None:
    """The Trainer warns if a folder does not exist."""
    assert "unfinished" not in (killed / "checkpoint-4" / "trainer_state.json").read_text()


def alter(path: Path) -> None:
    """Flip one bit in the middle. The size does not change, and a reader may not notice."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [*((name, damage) for name in FILES for damage in DAMAGES.values()), ("model.safetensors", alter)],
)
def test_a_damaged_newest_checkpoint_is_skipped_for_the_one_before(
    name: str,
    damage: Callable[[Path], object],
    runs: Runs,
    undisturbed: dict,
    killed: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damage(killed / "checkpoint-4" / name)
    assert same(runs.train(killed), undisturbed)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "checkpoint" in line)
    assert line.startswith(f"tiny: continuing from step 2 (checkpoint-4 is damaged: {name} ")


def test_whole_checkpoints_are_continued_from_the_newest(
    runs: Runs, undisturbed: dict, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert same(runs.train(killed), undisturbed)
    assert "tiny: continuing from step 4\n" in capsys.readouterr().err


def test_without_a_whole_checkpoint_training_starts_again(
    runs: Runs, undisturbed: dict, killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (killed / "checkpoint-4" / "optimizer.pt").unlink()
    (killed / "checkpoint-2" / "scheduler.pt").unlink()
    assert same(runs.train(killed), undisturbed)
    told = "checkpoint-4 is damaged: optimizer.pt is missing; checkpoint-2 is damaged: scheduler.pt is missing"
    assert f"tiny: starting again from step 0 ({told})\n" in capsys.readouterr().err


@pytest.mark.parametrize("moment", ["seal", "rename"])
def test_a_kill_while_a_checkpoint_is_written_leaves_only_whole_ones(
    moment: str, runs: Runs, undisturbed: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, seal = resume.keep, resume.seal

    def half_written(folder: Path, step: int) -> None:
        if step == 4:
            os.truncate(folder / resume.UNFINISHED / "checkpoint-4" / "optimizer.pt", 100)
            if moment == "rename":
                seal(folder / resume.UNFINISHED / "checkpoint-4")
            raise KeyboardInterrupt
        keep(folder, step)

    monkeypatch.setattr(resume, "keep", half_written)
    with pytest.raises(KeyboardInterrupt):
        runs.train(tmp_path / "here")
    monkeypatch.undo()
    assert same(runs.train(tmp_path / "here"), undisturbed)


def test_best_weights_are_found_after_the_folder_has_moved(runs: Runs, tmp_path: Path) -> None:
    whole = runs.train(tmp_path / "whole", figures_of(0.9, 0.8, 0.7))
    runs.killed(tmp_path / "before", 5, figures_of(0.9, 0.8))
    (tmp_path / "before").rename(tmp_path / "after")
    assert same(runs.train(tmp_path / "after", figures_of(0.7)), whole)
    assert runs.figures == {"steps": 6.0, "validation_accuracy": 0.9}


def test_a_checkpoint_is_no_use_without_its_best_weights(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = runs.train(tmp_path / "whole", figures_of(0.9, 0.8, 0.7))
    killed = runs.killed(tmp_path / "killed", 5, figures_of(0.9, 0.8))
    os.truncate(killed / "checkpoint-2" / "model.safetensors", 100)
    assert same(runs.train(killed, figures_of(0.9, 0.8, 0.7)), whole)
    assert "checkpoint-4 is damaged: its best weights, checkpoint-2: model.safetensors has 100 bytes" in (
        capsys.readouterr().err
    )


def test_the_best_weights_of_the_checkpoint_before_are_kept_too(runs: Runs, tmp_path: Path) -> None:
    settings = {"evaluations_per_epoch": 6}
    values = (0.8, 0.5, 0.5, 0.9, 0.6, 0.7)
    whole = runs.train(tmp_path / "whole", figures_of(*values), **settings)
    killed = runs.killed(tmp_path / "killed", 4, figures_of(*values[:4]), **settings)
    assert sorted(path.name for path in killed.glob("checkpoint-*")) == [f"checkpoint-{step}" for step in (1, 3, 4)]
    (killed / "checkpoint-4" / "rng_state.pth").unlink()
    assert same(runs.train(killed, figures_of(*values[3:]), **settings), whole)


@pytest.mark.parametrize("patience", [0, 1, 2])
def test_training_that_had_ended_is_not_gone_on_with(patience: int, runs: Runs, tmp_path: Path) -> None:
    """Killed after the last checkpoint, before the model was saved: by steps, or by patience."""
    values = (0.9, 0.8, 0.7) if patience != 2 else (0.9, 0.8, 0.7, 1.0, 1.0, 1.0)
    settings = {"patience": patience, "evaluations_per_epoch": 6 if patience == 2 else 3}
    whole = runs.train(tmp_path / "done", figures_of(*values), **settings)
    before = runs.figures, runs.config
    assert runs.figures["steps"] == (6.0, 4.0, 3.0)[patience]
    assert same(runs.train(tmp_path / "done", figures_of(), **settings), whole)
    assert (runs.figures, runs.config) == before


def test_patience_counts_evaluations_from_before_a_kill(runs: Runs, tmp_path: Path) -> None:
    settings = {"patience": 3, "evaluations_per_epoch": 6, "epochs": 2.0}
    values = (0.9, 0.5, 0.5, 0.5, 0.99)
    whole = runs.train(tmp_path / "whole", figures_of(*values), **settings)
    assert runs.figures == {"steps": 4.0, "validation_accuracy": 0.9}
    killed = runs.killed(tmp_path / "killed", 3, figures_of(*values[:3]), **settings)
    assert same(runs.train(killed, figures_of(*values[3:]), **settings), whole)
    assert runs.figures == {"steps": 4.0, "validation_accuracy": 0.9}


def test_processes_agree_on_what_the_first_one_found(tmp_path: Path) -> None:
    (tmp_path / "found.py").write_text(
        "import os, sys\n"
        "from edgebert.compress.distributed import from_main, wait\n"
        "rank = os.environ['RANK']\n"
        "found = from_main(lambda: 'checkpoint of ' + rank)\n"
        "open(sys.argv[1] + rank, 'w').write(found)\n"
        "wait()\n"
    )
    # One address for all of it: a machine whose own name does not resolve has two processes as well.
    launch = [str(Path(sys.executable).with_name("torchrun")), "--standalone", "--local-addr", "localhost"]
    done = subprocess.run(
        [*launch, "--nproc-per-node", "2", str(tmp_path / "found.py"), str(tmp_path / "answer")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-6000:]
    assert [(tmp_path / f"answer{rank}").read_text() for rank in "01"] == ["checkpoint of 0"] * 2
