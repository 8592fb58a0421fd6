"""The guard for OpenVINO's INT8: matmuls return to full precision until the loss is within the limit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from conftest import RECIPE

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.cpu import this_cpu
from edgebert.exporters.guarded import Outcome
from edgebert.exporters.int8_openvino import open_openvino
from edgebert.exporters.onnx import export_fast
from edgebert.exporters.parity import relative_error
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.openvino import NncfOptions, openvino_products, quantize_openvino
from edgebert.exporters.quantize.products import head_matmuls, weight_products
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import Outputs, Session
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.runtime.sessions.openvino import OpenVinoSession
from edgebert.runtimes import OPENVINO
from edgebert.target import read_target
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

pytestmark = [pytest.mark.int8, pytest.mark.slow]

NAMES = ["input_ids", "attention_mask"]


@pytest.fixture(scope="module")
def full(classifier_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "model.onnx"
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    export_fast(model, TRAINING, ["logits"], 1, 32, path)
    return path


@pytest.fixture(scope="module")
def rows() -> list[Encoded]:
    random = np.random.default_rng(0)
    return [Encoded([2, *random.integers(5, 40, n).tolist(), 3], [0] * (n + 2), False) for n in [4, 9, 20, 28] * 4]


def outputs(session: Session, rows: list[Encoded]) -> list[Outputs]:
    return [session.run(padded_inputs([row], NAMES)) for row in rows]


def error(full: Path, rows: list[Encoded], folder: Path) -> float:
    reference = outputs(OnnxSession(full, 1, "CPUExecutionProvider"), rows)
    return relative_error(reference, outputs(OpenVinoSession(folder / "model.xml", 1, [8, 32]), rows))


def test_every_product_can_be_left_alone_by_name(full: Path) -> None:
    operators, model = openvino_products(full), onnx.load(full)
    attention = [name for name in operators if name not in weight_products(model)]
    assert set(weight_products(model)) < set(operators)
    assert len(attention) == len(head_matmuls(model)) + sum(
        node.op_type == "MultiHeadAttention" for node in model.graph.node
    )


def test_what_is_left_alone_answers_as_full_precision(full: Path, rows: list[Encoded], tmp_path: Path) -> None:
    products, errors = list(openvino_products(full)), []
    for count in (0, len(products) // 2, len(products)):
        quantize_openvino(
            full, Calibration(rows), NAMES, tmp_path / str(count), NncfOptions(leave=products[:count], embeddings=False)
        )
        errors.append(error(full, rows, tmp_path / str(count)))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-9


def test_quantizing_does_not_depend_on_other_models_of_the_process(
    full: Path, rows: list[Encoded], tmp_path: Path
) -> None:
    quantize_openvino(full, Calibration(rows), NAMES, tmp_path / "alone")
    theirs = [openvino.Core().read_model(str(full)) for _ in range(2)]
    quantize_openvino(full, Calibration(rows), NAMES, tmp_path / "beside")
    for name in ("model.xml", "model.bin"):
        assert (tmp_path / "beside" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()
    assert all(model.get_ordered_ops() for model in theirs)


def test_texts_are_padded_to_no_more_than_the_longest_input(full: Path, rows: list[Encoded], tmp_path: Path) -> None:
    choice = replace(read_target("x86-avx512-vnni").export, length_buckets=(8, 64))
    quantize_openvino(full, Calibration(rows), NAMES, tmp_path)
    found = outputs(open_openvino(tmp_path, choice, 32), rows)
    alone = outputs(OpenVinoSession(tmp_path / "model.xml", 1, []), rows)
    assert relative_error(alone, found) < 1e-3


def test_tables_are_int8_only_where_asked(full: Path, rows: list[Encoded], tmp_path: Path) -> None:
    for name, embeddings in (("int8", True), ("fp32", False)):
        quantize_openvino(full, Calibration(rows), NAMES, tmp_path / name, NncfOptions(embeddings=embeddings))
    small, large = ((tmp_path / name / "model.bin").stat().st_size for name in ("int8", "fp32"))
    table = max(
        tensor.dims[0] * tensor.dims[1] for tensor in onnx.load(full).graph.initializer if len(tensor.dims) == 2
    )
    assert large - small >= 2.5 * table


def test_the_loss_holds_on_both_runtimes(
    built: Path, checkpoint: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Quality replaces the error here, so that INT8 lowers it even on such a small model."""
    first: dict[Any, float] = {}

    def quality(self: Outcome, graph: Path) -> float:
        if graph == self.full:
            return 1.0
        return 1.0 - self.error(graph) / first.setdefault(graph, self.error(graph))

    monkeypatch.setattr(Outcome, "quality", quality)
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    work, out = built.with_name(built.name + ".work"), tmp_path / "out"
    command = ["export", str(tmp_path / "r.toml"), "--data-dir", str(data_dir), "--work", str(work), "--out", str(out)]
    assert main([*command, "--set", "quantize.max_drop=0.5", "--set", "export.stages=false"]) == 0
    metrics = read_document(out)["stages"][-1]["metrics"]
    for guard in (metrics["guard"], metrics["openvino"]["guard"]):
        assert guard["tried"][0]["quality"] == 0.0
        assert 0 < len(guard["kept"]) < len(guard["cost"])
        assert guard["kept"] == [row["product"] for row in guard["cost"]][: len(guard["kept"])]
        assert [row["quality"] >= 0.5 for row in guard["tried"]] == [False] * len(guard["kept"]) + [True]
    answer = edgebert.load(out, runtime="openvino")("a fine film")
    assert answer.label == edgebert.load(out)("a fine film").label


@pytest.mark.parametrize("seven_bits", [False, True])
def test_matrices_have_the_range_that_the_profile_asks_for(
    seven_bits: bool, full: Path, rows: list[Encoded], tmp_path: Path
) -> None:
    """By default nncf halves only the range of convolutions, and BERT has none."""
    made = quantize_openvino(
        full, Calibration(rows), NAMES, tmp_path, NncfOptions(embeddings=False, reduce_range=seven_bits)
    )
    assert made["reduce_range"] is seven_bits
    model = openvino.Core().read_model(str(tmp_path / "model.xml"))
    constants = [each for each in model.get_ordered_ops() if each.get_type_name() == "Constant"]
    matrices = [each.get_data() for each in constants if each.get_element_type().get_type_name() == "i8"]
    # Three layers of six, pooler and head.
    assert len(matrices) == 3 * 6 + 2
    largest = [int(np.abs(matrix.astype(int)).max()) for matrix in matrices]
    assert all((60 <= size <= 64) if seven_bits else size == 127 for size in largest)
    if seven_bits or this_cpu().int8 not in OPENVINO.saturating:
        assert error(full, rows, tmp_path) < 0.01
