"""INT8 graphs: weights are INT8, answers are close to full precision, one QDQ file works on both runtimes."""

import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from this_machine import choice_here

from edgebert.compress import checkpoint
from edgebert.compress.validation import torch_outputs
from edgebert.exporters.onnx import export_fast, fast_module
from edgebert.exporters.parity import Parity, compare, relative_error
from edgebert.exporters.quantize import dynamic
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.embeddings import quantize_embeddings
from edgebert.exporters.quantize.graph import array, load_folded
from edgebert.exporters.quantize.openvino import NncfOptions, quantize_openvino
from edgebert.exporters.quantize.products import head_matmuls, weight_products
from edgebert.exporters.quantize.ranges import Histogram, choose_range
from edgebert.exporters.quantize.static import quantize_static
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import Outputs, Session
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.runtime.sessions.openvino import OpenVinoSession
from edgebert.tasks.text_classification.predict import TextClassification
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

pytestmark = pytest.mark.int8

CHOICE = choice_here()
CPU = "CPUExecutionProvider"
NAMES = ["input_ids", "attention_mask"]
KINDS = TextClassification.spec.outputs


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
    export_fast(model, TRAINING, list(KINDS), 1, 32, path)
    return path


@pytest.fixture(scope="module")
def reference(model: Any, rows: list[Encoded]) -> list[Outputs]:
    return list(torch_outputs(model, rows, TRAINING, KINDS))


def against(reference: list[Outputs], session: Session, rows: list[Encoded]) -> Parity:
    return compare(reference, session, NAMES, rows, KINDS)


def big_floats(path: Path) -> list[str]:
    graph = onnx.load(path).graph
    return [t.name for t in graph.initializer if t.data_type == TensorProto.FLOAT and np.prod(t.dims) >= 32 * 32]


@pytest.mark.slow
def test_dynamic_quantizes_every_matrix_but_the_head(
    full: Path, reference: list[Outputs], rows: list[Encoded], tmp_path: Path
) -> None:
    quantize_weights(full, CHOICE, tmp_path / "int8.onnx")
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node)
    # Three layers of 6 products and the pooler; the head stays, as does the attention of every layer.
    assert operators["MatMulInteger"] == 3 * 6 + 1
    assert operators["MatMul"] == 1
    assert operators["MultiHeadAttention"] == 3
    parity = against(reference, OnnxSession(tmp_path / "int8.onnx", 1, CPU), rows)
    assert parity.agreement >= 0.9
    assert 0 < parity.max_difference < 0.1


@pytest.mark.slow
def test_the_head_is_found_by_the_graph_s_end(full: Path) -> None:
    graph = onnx.load(full)
    (name,) = head_matmuls(graph)
    node = next(node for node in graph.graph.node if node.name == name)
    weights = {t.name: list(t.dims) for t in graph.graph.initializer}
    assert any(weights.get(name) == [32, 2] for name in node.input)


def graph_of(*outputs: str, width: int = 3, hidden: int = 8) -> onnx.ModelProto:
    """Rows through a trunk, and from there to `logits` (`width` wide), to two `other` figures, to a norm: `normed`."""
    random = np.random.default_rng(0)
    weights = {"w": (hidden, hidden), "head.w": (hidden, width), "other.w": (hidden, 2)}
    weights |= {"scale": (hidden,), "bias": (width,)}
    initializers = [numpy_helper.from_array(random.normal(size=s).astype(np.float32), n) for n, s in weights.items()]
    nodes = [
        helper.make_node("MatMul", ["rows", "w"], ["hidden"], "trunk"),
        helper.make_node("Tanh", ["hidden"], ["bent"], "bend"),
        helper.make_node("MatMul", ["bent", "head.w"], ["product"], "head"),
        helper.make_node("Add", ["bias", "product"], ["logits"], "add"),
        helper.make_node("MatMul", ["bent", "other.w"], ["other"], "other head"),
        helper.make_node("LayerNormalization", ["bent", "scale"], ["normed"], "norm"),
    ]
    shapes = {"rows": hidden, "logits": width, "other": 2, "normed": hidden}
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", at]) for n, at in shapes.items()}
    graph = helper.make_graph(nodes, "g", [values["rows"]], [values[name] for name in outputs], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize(
    ("outputs", "width", "hidden", "heads"),
    [
        (["logits"], 3, 8, ["head"]),
        (["logits", "other"], 3, 8, ["head", "other head"]),
        (["other", "logits"], 300, 8, ["other head", "head"]),
        (["normed"], 3, 8, []),
        (["normed", "other"], 3, 8, ["other head"]),
        (["logits"], 1024, 300, ["head"]),
        (["logits", "other"], 1025, 8, ["other head"]),
    ],
)
def test_every_output_has_its_head_but_a_norm_and_a_vocabulary_have_none(
    outputs: list[str], width: int, hidden: int, heads: list[str]
) -> None:
    assert head_matmuls(graph_of(*outputs, width=width, hidden=hidden)) == heads


def test_every_head_stays_in_full_precision(tmp_path: Path) -> None:
    onnx.save(graph_of("logits", "other"), tmp_path / "full.onnx")
    quantize_weights(tmp_path / "full.onnx", CHOICE, tmp_path / "int8.onnx")
    operators = Counter(node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node)
    assert (operators["MatMul"], operators["MatMulInteger"]) == (2, 1)


def tied(words: int = 1200, hidden: int = 96) -> onnx.ModelProto:
    """Rows of a word table, and a score for every word by the same table transposed."""
    table = np.random.default_rng(0).normal(size=(words, hidden)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"], "words"),
        helper.make_node("Transpose", ["table"], ["turned"], "turn", perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "turned"], ["product"], "scores"),
        helper.make_node("Add", ["product", "b"], ["logits"], "add"),
    ]
    given = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])
    made = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "length", words])
    bias = np.arange(words, dtype=np.float32)
    initializers = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(bias, "b")]
    graph = helper.make_graph(nodes, "g", [given], [made], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("leave", [[], ["scores"]])
def test_words_scored_by_their_own_table_are_int8_products_too(leave: list[str], tmp_path: Path) -> None:
    full, made = tmp_path / "full.onnx", tmp_path / "int8.onnx"
    onnx.save(tied(), full)
    assert weight_products(load_folded(full)) == {"scores": "scores"}
    quantize_weights(full, CHOICE, made, leave)
    table = 1200 * 96
    # The table for the lookups, as it was, and the product's in INT8 beside it, or shared with the table.
    assert table * 4 < made.stat().st_size < table * (4 if leave else 5) + 30_000
    model = onnx.load(made)
    quantize_embeddings(model)
    onnx.save(model, made)
    operators = Counter(node.op_type for node in model.graph.node)
    assert (operators["MatMulInteger"], operators["MatMul"]) == (not leave, len(leave))
    assert ("table" in big_floats(made)) == bool(leave)
    ids = {"ids": np.arange(24, dtype=np.int64).reshape(2, 12)}
    (right,), (found,) = (OnnxSession(path, 1, CPU).run(ids) for path in (full, made))
    error = np.abs(found - right).max() / np.abs(right).max()
    assert error < (0.02 if not leave else 0.005)
    assert (found.argmax(2) == right.argmax(2)).all()


@pytest.mark.slow
def test_static_qdq_has_int8_weights_and_runs_alike_on_both_runtimes(
    model: Any, reference: list[Outputs], rows: list[Encoded], tmp_path: Path
) -> None:
    path = tmp_path / "qdq.onnx"
    quantize_static(fast_module(model, TRAINING, 1, 32), Calibration(rows), list(KINDS), 32, CHOICE, path)
    graph = onnx.load(path)
    operators = Counter(node.op_type for node in graph.graph.node)
    # Every quantized activation is dequantized once, and so is every matrix: those of three layers, pooler, head.
    assert operators["DequantizeLinear"] == operators["QuantizeLinear"] + 3 * 6 + 2
    assert operators["Clip"] == 0
    assert [name for name in big_floats(path) if "word" not in name and "position" not in name] == []
    onnx.checker.check_model(graph)
    on_ort, on_openvino = outputs(OnnxSession(path, 1, CPU), rows), outputs(OpenVinoSession(path, 1, [8, 16, 32]), rows)
    # The error of a graph that gives every text the same answer.
    size = relative_error(reference, [(np.mean([output for (output,) in reference], axis=0),)] * len(reference))
    # Of what tells one text from another, INT8 changes a twentieth at most, the choice of the runtime less still.
    errors = [relative_error(reference, on_ort), relative_error(reference, on_openvino)]
    assert max(errors) < 0.05 * size
    assert relative_error(on_ort, on_openvino) < 0.01 * size


def outputs(session: Session, rows: list[Encoded]) -> list[Outputs]:
    return [tuple(output[0] for output in session.run(padded_inputs([row], NAMES))) for row in rows]


@pytest.mark.slow
def test_seven_bits_stay_within_what_two_products_of_sixteen_bits_hold(
    model: Any, reference: list[Outputs], rows: list[Encoded], tmp_path: Path
) -> None:
    errors = []
    for seven in (False, True):
        path, choice = tmp_path / f"{seven}.onnx", replace(CHOICE, reduce_range=seven)
        quantize_static(fast_module(model, TRAINING, 1, 32), Calibration(rows), list(KINDS), 32, choice, path)
        matrices = [array(t) for t in onnx.load(path).graph.initializer if t.data_type == TensorProto.INT8]
        largest = max(int(np.abs(matrix.astype(int)).max()) for matrix in matrices if matrix.ndim == 2)
        assert (largest <= 64) == seven
        assert largest >= 60
        errors.append(relative_error(reference, outputs(OnnxSession(path, 1, CPU), rows)))
    assert errors[0] != errors[1] < 0.01


@pytest.mark.slow
@pytest.mark.parametrize(("method", "activations"), [("percentile", "uint8"), ("mse", "int8")])
def test_a_range_is_chosen_from_every_text_unpadded(
    method: str, activations: Any, model: Any, reference: list[Outputs], rows: list[Encoded], tmp_path: Path
) -> None:
    path, choice = tmp_path / "qdq.onnx", replace(CHOICE, activation_type=activations)
    module = fast_module(model, TRAINING, 1, 32)
    quantize_static(module, Calibration(rows, method), list(KINDS), 32, choice, path)
    parity = against(reference, OnnxSession(path, 1, CPU), rows)
    assert parity.agreement >= 0.9
    assert 0 < parity.max_difference < 0.1
    histogram = Histogram()
    for row in rows:
        histogram.add(module.embeddings(torch.tensor([row.ids]), None).detach().numpy())
    low, high = choose_range(histogram, method, symmetric=activations == "int8")
    scale, zero = first_quantized(path)
    # PyTorch's symmetric INT8 has the scale (largest magnitude) / 127.5.
    assert scale == pytest.approx((high - low) / 255, rel=1e-4)
    assert zero == (0 if activations == "int8" else round(-low / scale))


def first_quantized(path: Path) -> tuple[float, int]:
    """Scale and zero point of the first activation that a graph quantizes: the embeddings."""
    graph = onnx.load(path).graph
    known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    node = next(node for node in graph.node if node.op_type == "QuantizeLinear")
    return float(known[node.input[1]]), int(known[node.input[2]])


@pytest.mark.slow
def test_openvino_int8_stays_close(full: Path, reference: list[Outputs], rows: list[Encoded], tmp_path: Path) -> None:
    quantize_openvino(full, Calibration(rows), NAMES, tmp_path, NncfOptions(reduce_range=CHOICE.reduce_range))
    assert (tmp_path / "model.bin").stat().st_size < full.stat().st_size / 2
    parity = against(reference, OpenVinoSession(tmp_path / "model.xml", 1, [8, 32]), rows)
    assert parity.agreement >= 0.9
    assert parity.max_difference < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["percentile", "mse"])
def test_openvino_is_calibrated_as_asked_and_stays_close(
    method: str, full: Path, reference: list[Outputs], rows: list[Encoded], tmp_path: Path
) -> None:
    usual = quantize_openvino(full, Calibration(rows), NAMES, tmp_path / "usual")
    options = NncfOptions(0.5, reduce_range=CHOICE.reduce_range)
    asked = quantize_openvino(full, Calibration(rows, method), NAMES, tmp_path / "asked", options)
    assert usual == {"calibration": "mean of each text's extremes", "smooth": 0.95, "reduce_range": False}
    assert asked["smooth"] == 0.5
    assert asked["calibration"] != usual["calibration"]
    files = [tmp_path / name / "model.bin" for name in ("usual", "asked")]
    assert files[0].read_bytes() != files[1].read_bytes()
    parity = against(reference, OpenVinoSession(tmp_path / "asked" / "model.xml", 1, [8, 32]), rows)
    assert parity.agreement >= 0.9
    assert parity.max_difference < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("form", ["dynamic", "openvino"])
def test_the_same_model_gives_the_same_int8_bytes(form: str, full: Path, rows: list[Encoded], tmp_path: Path) -> None:
    written = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        if form == "dynamic":
            quantize_weights(full, CHOICE, folder / "model.bin")
        else:
            quantize_openvino(full, Calibration(rows), NAMES, folder)
        written.append((folder / "model.bin").read_bytes())
    assert written[0] == written[1]


def test_tables_that_are_left_aside_meanwhile_come_back(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large ones are not given to the quantizer, which would hold them four times; the file is the same."""
    quantize_weights(full, CHOICE, tmp_path / "whole.onnx")
    monkeypatch.setattr(dynamic, "LARGE", 1024)
    seen: list[int] = []

    def noted(given: str, *arguments: Any, **settings: Any) -> None:
        seen.append(Path(given).stat().st_size)
        quantize_dynamic(given, *arguments, **settings)

    monkeypatch.setattr(dynamic, "quantize_dynamic", noted)
    quantize_weights(full, CHOICE, tmp_path / "parted.onnx")
    assert seen[0] < full.stat().st_size - 1000 * 4
    assert (tmp_path / "parted.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


def test_the_root_logger_stays_as_it_is(classifier_graph: Path, tmp_path: Path) -> None:
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        quantize_weights(classifier_graph, CHOICE, tmp_path / "int8.onnx")
        assert (root.handlers, root.filters) == ([], [])
    finally:
        root.handlers = before
