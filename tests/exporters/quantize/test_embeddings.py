"""INT8 rows: the largest error of an element; the rest of the graph does not change."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgebert.exporters.quantize.embeddings import quantize_embeddings

pytestmark = pytest.mark.int8


def lookup_graph(table: np.ndarray) -> onnx.ModelProto:
    node = helper.make_node("Gather", ["table", "ids"], ["rows"], "lookup")
    graph = helper.make_graph(
        [node],
        "lookup",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"])],
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", "length", table.shape[1]])],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, ids: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"ids": ids})[0]


@pytest.fixture
def table() -> np.ndarray:
    random = np.random.default_rng(0)
    rows = random.normal(size=(3000, 32)) * random.uniform(0.01, 10, size=(3000, 1))
    rows[7] = 0.0
    return rows.astype(np.float32)


def test_every_element_is_within_half_a_step_of_its_own_row(table: np.ndarray) -> None:
    model = lookup_graph(table)
    assert quantize_embeddings(model) == ["table"]
    onnx.checker.check_model(model)
    ids = np.arange(3000, dtype=np.int64).reshape(2, 1500)
    step = np.abs(table).max(axis=1, keepdims=True) / 127
    error = np.abs(run(model, ids).reshape(3000, 32) - table)
    assert (error <= step / 2 * 1.001 + 1e-12).all()
    assert (run(model, np.array([[7]])) == 0).all()


def test_the_table_takes_a_quarter_of_its_bytes(table: np.ndarray) -> None:
    model = lookup_graph(table)
    before = model.ByteSize()
    quantize_embeddings(model)
    assert model.ByteSize() < before * 0.3


def test_a_small_table_stays_as_it_is() -> None:
    model = lookup_graph(np.ones((10, 4), dtype=np.float32))
    assert quantize_embeddings(model) == []
    assert [node.op_type for node in model.graph.node] == ["Gather"]
