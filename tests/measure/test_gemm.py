"""The graph of the probe is valid for ONNX's own package and for ONNX Runtime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgebert.measure.gemm import gemm_graph

FLOAT, UINT8, INT8, INT32, FLOAT16 = 1, 2, 3, 6, 10


def weights(dtype: str, inner: int = 300, columns: int = 200) -> list[np.ndarray]:
    """Two matrices; more than 2^14 bytes and dimensions above 2^7, so that lengths need several bytes."""
    random = np.random.default_rng(0)
    return [random.integers(-9, 10, (inner, columns)).astype(dtype) for _ in range(2)]


@pytest.mark.parametrize(
    ("dtype", "operator", "given", "made"),
    [
        ("int8", "MatMulInteger", UINT8, INT32),
        ("float32", "MatMul", FLOAT, FLOAT),
        ("float16", "MatMul", FLOAT16, FLOAT16),
    ],
)
def test_the_bytes_are_a_valid_onnx_model(dtype: str, operator: str, given: int, made: int) -> None:
    matrices = weights(dtype)
    model = onnx.load_from_string(gemm_graph(matrices))
    onnx.checker.check_model(model, full_check=True)
    # The bytes have no field that onnx.proto does not define.
    assert model.SerializeToString() == onnx.ModelProto.FromString(model.SerializeToString()).SerializeToString()
    assert len(model.SerializeToString()) == len(gemm_graph(matrices))
    assert [(node.op_type, list(node.input), list(node.output)) for node in model.graph.node] == [
        (operator, ["x", "w0"], ["y0"]),
        (operator, ["x", "w1"], ["y1"]),
    ]
    for tensor, matrix in zip(model.graph.initializer, matrices, strict=True):
        np.testing.assert_array_equal(numpy_helper.to_array(tensor), matrix)
    shapes = {
        value.name: (value.type.tensor_type.elem_type, [dim.dim_value for dim in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"x": (given, [0, 300]), "y0": (made, [0, 200]), "y1": (made, [0, 200])}
    assert (model.ir_version, model.opset_import[0].version, model.opset_import[0].domain) == (10, 20, "")


@pytest.mark.parametrize(("dtype", "given"), [("int8", "uint8"), ("float32", "float32")])
@pytest.mark.parametrize("rows", [1, 7])
def test_it_multiplies(dtype: str, given: str, rows: int) -> None:
    matrices = weights(dtype)
    x = np.random.default_rng(1).integers(0, 200, (rows, 300)).astype(given)
    session = onnxruntime.InferenceSession(gemm_graph(matrices), providers=["CPUExecutionProvider"])
    for made, matrix in zip(session.run(None, {"x": x}), matrices, strict=True):
        np.testing.assert_array_equal(made, x.astype(np.int64) @ matrix.astype(np.int64))
