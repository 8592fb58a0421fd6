"""Write a tiny ONNX graph of matrix products with constant weights, without the onnx package.

An ONNX file is one protocol buffers message. The field numbers below are those of `onnx.proto` (onnx 1.23, IR version
10); the wire format is that of protobuf.dev/programming-guides/encoding: a field is its number and wire type as a
varint, then a varint (type 0), or a length and so many bytes (type 2).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

IR_VERSION, OPSET = 10, 20
VARINT, BYTES = 0, 2

# Message ModelProto.
MODEL_IR_VERSION, MODEL_PRODUCER, MODEL_GRAPH, MODEL_OPSET = 1, 2, 7, 8
# Message OperatorSetIdProto; the domain is left empty, which is ONNX's own.
OPSET_VERSION = 2
# Message GraphProto.
GRAPH_NODE, GRAPH_NAME, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT = 1, 2, 5, 11, 12
# Message NodeProto.
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OPERATOR = 1, 2, 3, 4
# Message TensorProto.
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
# Messages ValueInfoProto, TypeProto, TypeProto.Tensor, TensorShapeProto and its Dimension.
VALUE_NAME, VALUE_TYPE = 1, 2
TYPE_TENSOR = 1
TENSOR_ELEMENT, TENSOR_SHAPE = 1, 2
SHAPE_DIM = 1
DIM_VALUE, DIM_NAME = 1, 2
# Enumeration TensorProto.DataType.
ELEMENTS = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "float16": 10}

ROWS = "rows"


def gemm_graph(weights: Sequence[NDArray[np.generic]]) -> bytes:
    """Make a model that multiplies one input by several constant matrices, as a layer does.

    Its input is `x`, its outputs are `y0`, `y1`, ...

    Args:
        weights: Matrices of one shape and type. *Shape*: (inner, columns). INT8 ones make MatMulInteger with a uint8
            input and int32 outputs, float ones MatMul.

    Returns:
        The serialized ModelProto. *Shape* of `x`: (rows, inner), of every output (rows, columns), rows free.
    """
    inner, columns = weights[0].shape
    integer = weights[0].dtype == np.int8
    given, made = ("uint8", "int32") if integer else (str(weights[0].dtype),) * 2
    operator = "MatMulInteger" if integer else "MatMul"
    graph = [
        *(_message(GRAPH_NODE, _node(operator, at)) for at in range(len(weights))),
        _text(GRAPH_NAME, "gemm"),
        *(_message(GRAPH_INITIALIZER, _tensor(f"w{at}", matrix)) for at, matrix in enumerate(weights)),
        _message(GRAPH_INPUT, _value("x", given, inner)),
        *(_message(GRAPH_OUTPUT, _value(f"y{at}", made, columns)) for at in range(len(weights))),
    ]
    model = [
        _number(MODEL_IR_VERSION, IR_VERSION),
        _text(MODEL_PRODUCER, "edgebert"),
        _message(MODEL_GRAPH, graph),
        _message(MODEL_OPSET, [_number(OPSET_VERSION, OPSET)]),
    ]
    return b"".join(model)


def _node(operator: str, at: int) -> list[bytes]:
    names = [_text(NODE_INPUT, "x"), _text(NODE_INPUT, f"w{at}"), _text(NODE_OUTPUT, f"y{at}")]
    return [*names, _text(NODE_NAME, f"product{at}"), _text(NODE_OPERATOR, operator)]


def _tensor(name: str, values: NDArray[np.generic]) -> list[bytes]:
    """A constant; its values are raw and little-endian, as onnx.proto requires."""
    raw = values.astype(values.dtype.newbyteorder("<"), order="C", copy=False).tobytes()
    dims = [_number(TENSOR_DIMS, size) for size in values.shape]
    return [*dims, _number(TENSOR_TYPE, ELEMENTS[str(values.dtype)]), _text(TENSOR_NAME, name), _bytes(TENSOR_RAW, raw)]


def _value(name: str, element: str, columns: int) -> list[bytes]:
    dims = [_message(SHAPE_DIM, [_text(DIM_NAME, ROWS)]), _message(SHAPE_DIM, [_number(DIM_VALUE, columns)])]
    tensor = [_number(TENSOR_ELEMENT, ELEMENTS[element]), _message(TENSOR_SHAPE, dims)]
    return [_text(VALUE_NAME, name), _message(VALUE_TYPE, [_message(TYPE_TENSOR, tensor)])]


def _message(field: int, parts: Iterable[bytes]) -> bytes:
    return _bytes(field, b"".join(parts))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Encode a varint: seven bits per byte, lowest first, the eighth bit set on all but the last byte."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
