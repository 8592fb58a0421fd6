"""INT8 graphs: weights really INT8, answers close to full precision, one QDQ file on both runtimes."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from edgebert.compress import checkpoint
from edgebert.compress.quantize.dynamic import head_matmul, quantize_weights
from edgebert.compress.quantize.openvino import quantize_openvino
from edgebert.compress.quantize.static import quantize_static
from edgebert.exporters.onnx import export_fast, input_names
from edgebert.exporters.parity import compare, reference_logits
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import OnnxSession, OpenVinoSession
from edgebert.target import read_target

CHOICE = read_target("x86-avx512-vnni").export
CPU = "CPUExecutionProvider"
NAMES = input_names(1)


@pytest.fixture(scope="module")
def model(classifier_checkpoint: Path) -> Any:
    return checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()


@pytest.fixture(scope="module")
def rows() -> list[Encoded]:
    random = np.random.default_rng(0)
    return [
        Encoded([2, *random.integers(5, 40, n).tolist(), 3], [0] * (n + 2), False) for n in [4, 9, 20, 30, 7, 12] * 4
    ]


@pytest.fixture(scope="module")
def full(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "model.onnx"
    export_fast(model, "text-classification", 1, 32, path)
    return path


def big_floats(path: Path) -> list[str]:
    graph = onnx.load(path).graph
    return [t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) >= 32 * 32]


def test_dynamic_quantizes_every_matrix_but_the_head(
    full: Path, model: Any, rows: list[Encoded], tmp_path: Path
) -> None:
    quantize_weights(full, CHOICE, tmp_path / "int8.onnx")
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node)
    # Two layers of 4 products, a last layer of 5, the pooler; the head stays, as do 2 products of attention a layer.
    assert operators["MatMulInteger"] == 2 * 4 + 5 + 1
    assert operators["MatMul"] == 3 * 2 + 1
    parity = compare(reference_logits(model, rows), OnnxSession(tmp_path / "int8.onnx", 1, CPU), NAMES, rows)
    assert parity.agreement >= 0.9
    assert 0 < parity.max_difference < 0.1


def test_the_head_is_found_by_the_graph_s_end(full: Path) -> None:
    graph = onnx.load(full)
    node = next(node for node in graph.graph.node if node.name == head_matmul(graph))
    weights = {t.name: list(t.dims) for t in graph.graph.initializer}
    assert any(weights.get(name) == [32, 2] for name in node.input)


def test_static_qdq_has_int8_weights_and_runs_alike_on_both_runtimes(
    model: Any, rows: list[Encoded], tmp_path: Path
) -> None:
    path = tmp_path / "qdq.onnx"
    quantize_static(model, rows, 1, 32, CHOICE, path)
    graph = onnx.load(path)
    operators = Counter(node.op_type for node in graph.graph.node)
    assert operators["QuantizeLinear"] * 2 == operators["DequantizeLinear"]
    assert operators["Clip"] == 0
    assert [name for name in big_floats(path) if "word" not in name and "position" not in name] == []
    onnx.checker.check_model(graph)
    reference = reference_logits(model, rows)
    on_ort = compare(reference, OnnxSession(path, 1, CPU), NAMES, rows)
    on_openvino = compare(reference, OpenVinoSession(path, 1, [8, 16, 32]), NAMES, rows)
    assert on_ort.agreement >= 0.9
    assert on_openvino.agreement >= 0.9
    assert on_ort.max_difference < 0.1
    assert on_openvino.max_difference < 0.1


def test_openvino_int8_stays_close(full: Path, model: Any, rows: list[Encoded], tmp_path: Path) -> None:
    quantize_openvino(full, rows, NAMES, tmp_path)
    assert (tmp_path / "model.bin").stat().st_size < full.stat().st_size / 2
    parity = compare(reference_logits(model, rows), OpenVinoSession(tmp_path / "model.xml", 1, [8, 32]), NAMES, rows)
    assert parity.agreement >= 0.9
    assert parity.max_difference < 0.1


@pytest.mark.parametrize("form", ["dynamic", "openvino"])
def test_the_same_model_gives_the_same_int8_bytes(form: str, full: Path, rows: list[Encoded], tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        if form == "dynamic":
            quantize_weights(full, CHOICE, folder / "model.bin")
        else:
            quantize_openvino(full, rows, NAMES, folder)
        written.append((folder / "model.bin").read_bytes())
    assert written[0] == written[1]
