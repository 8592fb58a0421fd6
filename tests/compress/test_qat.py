"""Training for INT8 computes as the INT8 graph, trains every weight, and reports the bundle's metric."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import RECIPE

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.compress.qat import round_products, round_words, rounded_weight
from edgebert.compress.validation import torch_outputs
from edgebert.errors import SettingsError
from edgebert.exporters.onnx import export_fast
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.recipe import read_recipe
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.target import ExportChoice, read_target
from edgebert.tasks.token_classification.predict import TokenClassification
from edgebert.tasks.training_table import training_task

TRAINING = training_task("token-classification")

pytestmark = pytest.mark.int8

# Seven-bit weights: no kernel saturates, so that the graph gives on every CPU what was meant.
CHOICE = read_target("x86-avx2").export


def choice(**changes: Any) -> ExportChoice:
    return ExportChoice(**{**vars(CHOICE), **changes})


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{}, {"per_channel": False}, {"weight_type": "uint8"}, {"weight_type": "uint8", "per_channel": False}],
    ids=["int8-channel", "int8-tensor", "uint8-channel", "uint8-tensor"],
)
def test_training_sees_what_the_int8_graph_computes(
    changes: dict[str, Any], classifier_checkpoint: Path, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    rows = [Encoded([2, *random.integers(5, 40, n).tolist(), 3], [0] * (n + 2), False) for n in (3, 9, 20, 28)]
    # Tags are read from every row, so that both compute all of them: ranges of a product are those of the same values.
    model = checkpoint.load_model(classifier_checkpoint, "token-classification", ["O", "B-x", "I-x"]).eval()
    names = export_fast(model, TRAINING, ["logits"], 1, 32, tmp_path / "full.onnx")
    quantize_weights(tmp_path / "full.onnx", choice(**changes), tmp_path / "int8.onnx")
    session = OnnxSession(tmp_path / "int8.onnx", 1, "CPUExecutionProvider")
    graph = np.concatenate([session.run(padded_inputs([row], names))[0][0] for row in rows])
    full = logits(model, rows)
    round_products(model, choice(**changes))
    aware = logits(model, rows)
    error = np.abs(full - graph).max()
    assert error > 2e-3
    apart = np.sort(np.abs(aware - graph).max(axis=1))
    # One value half way between two steps may be rounded down here and up there, where sums are added in another order.
    assert apart[-2] < 1e-3 * error + 1e-5
    assert apart[-1] < 0.1 * error


def logits(model: Any, rows: list[Encoded]) -> Any:
    """Logits of every token, each text in a batch of its own. *Shape*: (tokens, 3)."""
    kinds = TokenClassification.spec.outputs
    return np.concatenate([next(torch_outputs(model, [row], TRAINING, kinds))[0] for row in rows])


def test_a_text_has_its_own_range_whatever_it_is_padded_and_trained_with(classifier_checkpoint: Path) -> None:
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    round_products(model, CHOICE)
    ids = torch.randint(5, 40, (4, 12), generator=torch.Generator().manual_seed(0))
    lengths = [12, 9, 5, 2]
    mask = torch.tensor([[1] * length + [0] * (12 - length) for length in lengths])
    together = model(input_ids=ids, attention_mask=mask).logits
    alone = [model(input_ids=row[None, :length]).logits for row, length in zip(ids, lengths, strict=True)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_word_rows_are_rounded_to_127_steps_of_their_own(classifier_checkpoint: Path) -> None:
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"])
    table = model.bert.embeddings.word_embeddings.weight.detach().clone()
    round_words(model)
    rows = model.bert.embeddings.word_embeddings(torch.arange(5, 30))
    steps = rows / (table[5:30].abs().amax(1, keepdim=True) / 127)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert not torch.equal(rows, table[5:30])


def test_names_and_values_of_the_weights_stay_and_all_of_them_learn(classifier_checkpoint: Path) -> None:
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    round_products(model, CHOICE)
    round_words(model)
    assert list(before) == list(model.state_dict())
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    model(input_ids=torch.arange(5, 25)[None]).logits[0, 0].backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_rounding_weights_a_second_time_changes_nothing() -> None:
    weight = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    for kind in ({}, {"per_channel": False}, {"reduce_range": False}):
        once = rounded_weight(weight, choice(**kind))
        assert torch.allclose(rounded_weight(once, choice(**kind)), once, atol=1e-6)


RECOVER = """
[quantize.recover]
epochs = EPOCHS
learning_rate = 1e-3
batch_size = 8
"""


@pytest.mark.slow
def test_the_stage_tells_the_quality_that_the_bundle_has(
    built: Path, checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = RECIPE.replace("CHECKPOINT", str(checkpoint)).replace('"onnx", "openvino"', '"onnx"')
    (tmp_path / "aware.toml").write_text(text + RECOVER.replace("EPOCHS", "1.0"))
    work, out = built.with_name(built.name + ".work"), tmp_path / "aware"
    command = ["export", str(tmp_path / "aware.toml"), "--data-dir", str(data_dir), "--work", str(work)]
    assert main([*command, "--profile", "x86-avx2", "--out", str(out), "--json"]) == 0
    done = {stage["title"]: stage["cached"] for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert (done["recover"], done["quantization-aware"]) == (True, False)
    trained, quantized = read_document(out)["stages"][-2:]
    assert (trained["stage"], quantized["stage"]) == ("quantization-aware", "quantize")
    told, has = trained["metrics"]["validation_accuracy"], quantized["metrics"]["quality"]["validation"]["value"]
    assert told == pytest.approx(has, abs=1 / 64)
    assert sorted(path.name for path in out.with_name("aware.stages").iterdir())[-1] == "5-quantization-aware"
    assert edgebert.load(out)("a lovely film").label == "pos"


def test_training_for_int8_needs_rows_to_train_on(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(
        f'name = "r"\ntask = "text-classification"\n[model]\nsource = "{checkpoint}"\n'
        '[data]\nunlabelled = ["text.txt"]\n[quantize.recover]\nepochs = 1.0\n'
    )
    with pytest.raises(SettingsError, match=r"training stages need 'data\.train'; name the file"):
        read_recipe(tmp_path / "r.toml")


@pytest.mark.parametrize(("setting", "value"), [("quantize.format", "none"), ("profile", "fp32")])
def test_training_for_int8_where_there_is_none_is_refused(
    setting: str, value: str, checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)) + RECOVER.replace("EPOCHS", "1.0"))
    command = ["export", str(tmp_path / "r.toml"), "--data-dir", str(data_dir), "--out", str(tmp_path / "out")]
    if setting == "profile":
        profile = (Path(__file__).parents[2] / "profiles" / "x86-avx2.toml").read_text()
        (tmp_path / "full.toml").write_text(profile.replace('precision = "int8"', 'precision = "fp32"'))
        command += ["--profile", str(tmp_path / "full.toml")]
    else:
        command += ["--set", f"{setting}={value}"]
    assert main(command) == 2
    said = capsys.readouterr().err
    assert "[quantize.recover] trains for INT8, but" in said
    assert not (tmp_path / "out").exists()
