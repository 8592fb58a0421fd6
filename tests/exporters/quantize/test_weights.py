"""Weight-only INT8: files as small as INT8 and FP32 arithmetic, for every family and task."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from family_checkpoints import FAMILIES, make_family
from onnx import TensorProto, numpy_helper
from this_machine import choice_here

from edgebert.compress import checkpoint
from edgebert.exporters.onnx import can_rewrite, export_fast, export_plain, graph_inputs
from edgebert.exporters.parity import relative_error
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.graph import array, constants, load_folded
from edgebert.exporters.quantize.products import weight_products
from edgebert.exporters.quantize.weights import quantize_weights_alone, quantized_groups
from edgebert.exporters.unpadded import UNPADDED, write_unpadded
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import CPU, Outputs, Session
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession, UnpaddedSession
from edgebert.tasks.table import spec_of, task_names
from edgebert.tasks.training_table import training_task

pytestmark = pytest.mark.int8

# Parts of the names of ONNX Runtime's integer operators.
INTEGER = ("Integer", "NBits", "QLinear", "QGemm", "Quantize")
CASES = [
    *((family, "similarity") for family in FAMILIES),
    *(("bert", task) for task in task_names() if task != "similarity"),
]


@pytest.mark.parametrize(
    ("inner", "groups"), [(384, 6), (3072, 48), (312, 6), (100, 2), (64, 1), (32, 1), (97, 1), (8, 1)]
)
def test_as_many_weights_of_a_column_share_a_scale_as_divide_it(inner: int, groups: int) -> None:
    values = np.random.default_rng(0).normal(size=(inner, 5)).astype(np.float32)
    values[:, 3] = 0
    rounded, scale = quantized_groups(values)
    assert (rounded.dtype, scale.dtype, scale.shape) == (np.int8, np.float32, (groups, 1, 5))
    assert np.abs(rounded).max(axis=1)[:, :3].min() == 127
    error = np.abs((rounded * scale).reshape(values.shape) - values).reshape(rounded.shape)
    assert (error <= scale / 2 * 1.001).all()


def operators(graph: Path, folder: Path) -> list[str]:
    """The graph that ONNX Runtime makes with its defaults."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "optimized.onnx"), 3
    onnxruntime.InferenceSession(str(graph), options, providers=[CPU])
    return [node.op_type for node in onnx.load(folder / "optimized.onnx", load_external_data=False).graph.node]


def texts(vocabulary: int) -> list[Encoded]:
    random = np.random.default_rng(0)
    return [
        Encoded([2, *random.integers(5, vocabulary, length - 2).tolist(), 3], [0] * length)
        for length in (3, 24, 9, 17, 30, 12)
    ]


def exported(folder: Path, family: str, task: str, **config: Any) -> tuple[Path, list[Encoded]]:
    """The FP32 graph in the bundle of a seeded model, and texts for it."""
    settings = {"num_hidden_layers": 1, "slot_tags": ["O", "B-x", "I-x"], **config}
    source = make_family(folder / "source", family, "", **settings)
    model, graph = checkpoint.load_model(source, task, ["a", "b"]).eval(), folder / "full.onnx"
    outputs, training = list(spec_of(task).outputs), training_task(task)
    if can_rewrite(model.config):
        export_fast(model, training, outputs, 1, 32, graph)
    else:
        export_plain(model, training, outputs, graph)
    return graph, texts(model.config.vocab_size)


def answers(session: Session, names: list[str], rows: Collection[Encoded]) -> list[Outputs]:
    return [session.run(padded_inputs([row], names)) for row in rows]


def written(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def rounded_in_fp32(full: Path, out: Path) -> Path:
    """The FP32 graph with every matrix rounded to INT8 and back: weight-only INT8 must give its answers."""
    model = load_folded(full)
    known = constants(model)
    for name in dict.fromkeys(node.input[1] for node in model.graph.node if node.name in weight_products(model)):
        rounded, scale = quantized_groups(array(known[name]))
        known[name].CopyFrom(numpy_helper.from_array((rounded * scale).reshape(known[name].dims), name))
    return written(model, out)


@pytest.mark.slow
@pytest.mark.parametrize(("family", "task"), CASES)
def test_answers_are_fp32_arithmetic_over_rounded_weights(family: str, task: str, tmp_path: Path) -> None:
    full, rows = exported(tmp_path, family, task)
    names, made = graph_inputs(full), written(quantize_weights_alone(full), tmp_path / "model.onnx")
    assert not [name for name in operators(made, tmp_path) if any(part in name for part in INTEGER)]
    reference, found = (answers(OnnxSession(graph, 1, CPU), names, rows) for graph in (full, made))
    right = answers(OnnxSession(rounded_in_fp32(full, tmp_path / "right.onnx"), 1, CPU), names, rows)
    for ours, theirs in zip(found, right, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            assert np.abs(one - other).max() <= 1e-5
    quantize_weights(full, choice_here(), tmp_path / "int8.onnx")
    of_int8 = relative_error(reference, answers(OnnxSession(tmp_path / "int8.onnx", 1, CPU), names, rows))
    # Two logits may agree by chance; a vector does not.
    assert 0 < relative_error(reference, found) < (of_int8 / 2 if task == "similarity" else 1e-3)


def stored(graph: Path) -> dict[int, int]:
    """Bytes of a graph's constants, by type."""
    found: dict[int, int] = {}
    for tensor in onnx.load(graph, load_external_data=False).graph.initializer:
        found[tensor.data_type] = found.get(tensor.data_type, 0) + len(tensor.raw_data)
    return found


@pytest.mark.slow
def test_the_file_is_as_small_as_int8s_and_the_graph_without_a_mask_shares_its_bytes(tmp_path: Path) -> None:
    full, rows = exported(tmp_path, "bert", "similarity", num_hidden_layers=2, hidden_size=256, intermediate_size=1024)
    made = written(quantize_weights_alone(full), tmp_path / "model.onnx")
    quantize_weights(full, choice_here(), tmp_path / "int8.onnx")
    size, of_int8, of_full = (path.stat().st_size for path in (made, tmp_path / "int8.onnx", full))
    assert size < 1.07 * of_int8 < 0.35 * of_full
    assert write_unpadded(made, tmp_path / UNPADDED)
    assert stored(tmp_path / UNPADDED)[TensorProto.INT8] == 0
    names = graph_inputs(full)
    alone = answers(UnpaddedSession(tmp_path / UNPADDED, 1, CPU, OnnxOptions(weights_alone=True)), names, rows)
    for ours, theirs in zip(alone, answers(OnnxSession(made, 1, CPU), names, rows), strict=True):
        assert np.abs(ours[0] - theirs[0]).max() <= 1e-6
    reference, int8 = (answers(OnnxSession(path, 1, CPU), names, rows) for path in (full, tmp_path / "int8.onnx"))
    assert relative_error(reference, alone) < relative_error(reference, int8) / 5


@pytest.mark.slow
def test_the_graph_of_our_own_decodes_every_matrix_in_one_step(tmp_path: Path) -> None:
    # Columns of two groups, and of 97 weights, which have one scale.
    full, rows = exported(tmp_path, "bert", "text-classification", hidden_size=128, intermediate_size=97)
    made = written(quantize_weights_alone(full), tmp_path / "model.onnx")
    assert write_unpadded(made, tmp_path / UNPADDED)
    products = weight_products(load_folded(full))
    found = [node.op_type for node in onnx.load(tmp_path / UNPADDED, load_external_data=False).graph.node]
    assert (found.count("DequantizeLinear"), found.count("Reshape")) == (len(products), 0)
    names, options = graph_inputs(full), OnnxOptions(weights_alone=True)
    right = answers(OnnxSession(made, 1, CPU), names, rows)
    for ours, theirs in zip(
        answers(UnpaddedSession(tmp_path / UNPADDED, 1, CPU, options), names, rows), right, strict=True
    ):
        assert np.abs(ours[0] - theirs[0]).max() <= 1e-6


@pytest.mark.slow
def test_a_matrix_that_layers_share_is_stored_once(tmp_path: Path) -> None:
    full, _ = exported(tmp_path, "albert", "text-classification", num_hidden_layers=2)
    model = quantize_weights_alone(full)
    matrices = {node.input[1] for node in model.graph.node if node.op_type == "MatMul"}
    products = weight_products(load_folded(full))
    kept = [tensor for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8]
    assert 0 < len(kept) < len(products)
    assert {tensor.name.removesuffix(".int8") + ".fp32" for tensor in kept} <= matrices


@pytest.mark.slow
def test_products_that_are_left_stay_as_they_are(tmp_path: Path) -> None:
    full, rows = exported(tmp_path, "bert", "text-classification")
    products, names = list(weight_products(load_folded(full))), graph_inputs(full)
    reference = answers(OnnxSession(full, 1, CPU), names, rows)
    errors = []
    for left in ([], products[2:], products):
        made = written(quantize_weights_alone(full, left), tmp_path / "mixed.onnx")
        errors.append(relative_error(reference, answers(OnnxSession(made, 1, CPU), names, rows)))
    assert errors[0] > errors[1] > errors[2] == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "deberta-v2"])
def test_openvino_reads_it_small_and_computes_fp32(family: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the openvino extra is not installed")
    from edgebert.exporters.openvino import read_graph, save_ir
    from edgebert.runtime.sessions.openvino import OpenVinoSession

    full, rows = exported(tmp_path, family, "text-classification", hidden_size=64, intermediate_size=256)
    made = written(quantize_weights_alone(full), tmp_path / "model.onnx")
    save_ir(read_graph(made), tmp_path)
    assert (tmp_path / "model.bin").stat().st_size < 1.1 * made.stat().st_size
    names = graph_inputs(full)
    session = OpenVinoSession(tmp_path / "model.xml", 1, [32])
    found, right = (answers(each, names, rows) for each in (session, OnnxSession(made, 1, CPU)))
    for ours, theirs in zip(found, right, strict=True):
        assert np.abs(ours[0] - theirs[0]).max() <= 1e-5
