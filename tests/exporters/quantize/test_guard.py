"""The guard for INT8: the matmuls with the largest loss stay in full precision, and only as many as necessary."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from this_machine import choice_here

from edgebert.compress import checkpoint
from edgebert.errors import RunError
from edgebert.exporters.int8 import graph_maker, guarded_products
from edgebert.exporters.onnx import export_fast, fast_module
from edgebert.exporters.parity import relative_error
from edgebert.exporters.quantize import embeddings
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.guard import Guard
from edgebert.exporters.quantize.products import release, weight_products
from edgebert.exporters.quantize.static import quantize_static
from edgebert.exporters.writers import Int8Parts
from edgebert.recipe import QuantizeSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import Outputs
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

pytestmark = pytest.mark.int8

CHOICE = choice_here()
NAMES = ["input_ids", "attention_mask"]
HURT = {"a": 0.04, "b": 0.0, "c": 0.02, "d": 0.01}


def guard(max_drop: float, embeddings: float = 0.0) -> Guard:
    """For "graphs" that are lists of their excluded matmuls; each quantized matmul lowers quality by its own amount."""

    def make(leave: Collection[str], out: Path) -> None:
        out.write_text(" ".join(leave))

    def lost(path: Path) -> float:
        return sum(hurt for name, hurt in HURT.items() if name not in path.read_text().split())

    def quality(path: Path) -> float:
        return 0.9 if path.name == "full" else 0.9 - lost(path) - embeddings

    return Guard({name: f"layer {name}" for name in HURT}, make, make, quality, lost, max_drop)


def test_nothing_is_kept_and_nothing_searched_where_the_quality_holds(tmp_path: Path) -> None:
    report = guard(0.08).run(tmp_path / "full", tmp_path / "out")
    assert (report["kept"], "cost" in report) == ([], False)
    assert report["tried"] == [{"kept": 0, "quality": pytest.approx(0.83)}]
    assert (tmp_path / "out").read_text() == ""


@pytest.mark.parametrize(("max_drop", "kept"), [(0.035, ["a"]), (0.02, ["a", "c"]), (0.0, ["a", "c", "d"])])
def test_as_few_as_it_takes_are_kept_the_worst_first(max_drop: float, kept: list[str], tmp_path: Path) -> None:
    report = guard(max_drop).run(tmp_path / "full", tmp_path / "out")
    assert report["kept"] == [f"layer {name}" for name in kept]
    assert (tmp_path / "out").read_text().split() == kept
    assert report["cost"] == [
        {"product": "layer a", "error": 0.04},
        {"product": "layer c", "error": 0.02},
        {"product": "layer d", "error": 0.01},
        {"product": "layer b", "error": 0.0},
    ]
    assert [row["kept"] for row in report["tried"]] == list(range(len(kept) + 1))


def test_a_drop_that_no_product_explains_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"embeddings alone bring the quality from 0\.9000 to 0\.8500") as caught:
        guard(0.01, embeddings=0.05).run(tmp_path / "full", tmp_path / "out")
    assert "quantize.embeddings" in str(caught.value)


def test_full_precision_tables_are_not_blamed(tmp_path: Path) -> None:
    without = replace(guard(0.01, embeddings=0.05), embeddings=False)
    with pytest.raises(RunError, match=r"^Even full-precision products bring .*; set a larger max_drop$"):
        without.run(tmp_path / "full", tmp_path / "out")


@pytest.fixture(scope="module")
def graphs(classifier_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A full-precision graph, its static INT8 graph, and texts."""
    folder = tmp_path_factory.mktemp("graphs")
    random = np.random.default_rng(0)
    rows = [Encoded([2, *random.integers(5, 40, n).tolist(), 3], [0] * (n + 2), False) for n in [4, 9, 20, 30] * 4]
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    export_fast(model, TRAINING, ["logits"], 1, 32, folder / "full.onnx")
    quantize_static(
        fast_module(model, TRAINING, 1, 32), Calibration(rows), ["logits"], 32, CHOICE, folder / "static.onnx"
    )
    return {"full": folder / "full.onnx", "static": folder / "static.onnx", "rows": rows}


def outputs(path: Path, rows: list[Encoded]) -> list[Outputs]:
    session = OnnxSession(path, 1, "CPUExecutionProvider")
    return [session.run(padded_inputs([row], NAMES)) for row in rows]


@pytest.mark.slow
def test_a_released_product_has_its_full_precision_back(graphs: dict[str, Any], tmp_path: Path) -> None:
    full, rows = onnx.load(graphs["full"]), graphs["rows"]
    reference = outputs(graphs["full"], rows)
    everything = list(guarded_products(full, "static"))
    errors = []
    for count in (0, len(everything) // 2, len(everything)):
        model = onnx.load(graphs["static"])
        release(model, full, everything[:count])
        onnx.save(model, tmp_path / "mixed.onnx")
        errors.append(relative_error(reference, outputs(tmp_path / "mixed.onnx", rows)))
        quantizers = sum(node.op_type == "QuantizeLinear" for node in model.graph.node)
        assert (quantizers == 0) == (count == len(everything))
    assert min(errors[:2]) > 1e-8
    assert errors[0] != errors[1]
    assert errors[2] < 1e-10


@pytest.mark.slow
def test_products_are_tried_without_int8_tables(
    graphs: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "SMALLEST_TABLE", 2048)
    job: Any = None
    parts = Int8Parts(job, graphs["full"], [], QuantizeSettings(embeddings="int8"), CHOICE)
    make = graph_maker(parts, None, tmp_path)
    make((), tmp_path / "int8.onnx")
    make((), tmp_path / "tables.onnx", embeddings="fp32")
    graphs_made = [onnx.load(tmp_path / name).graph for name in ("int8.onnx", "tables.onnx")]
    floats = [[t for t in graph.initializer if t.data_type == TensorProto.FLOAT] for graph in graphs_made]
    largest = [max(int(np.prod(tensor.dims)) for tensor in tensors) for tensors in floats]
    assert largest[0] <= 32 * 32 < largest[1]


@pytest.mark.slow
def test_dynamic_int8_leaves_what_it_is_told_to_leave(graphs: dict[str, Any], tmp_path: Path) -> None:
    products = list(weight_products(onnx.load(graphs["full"])))
    quantize_weights(graphs["full"], CHOICE, tmp_path / "mixed.onnx", leave=products[1:])
    operators = [node.op_type for node in onnx.load(tmp_path / "mixed.onnx").graph.node]
    assert operators.count("MatMulInteger") == 1
    quantize_weights(graphs["full"], CHOICE, tmp_path / "none.onnx", leave=products)
    reference, rows = outputs(graphs["full"], graphs["rows"]), graphs["rows"]
    assert relative_error(reference, outputs(tmp_path / "none.onnx", rows)) == 0.0
    assert relative_error(reference, outputs(tmp_path / "mixed.onnx", rows)) > 1e-8
