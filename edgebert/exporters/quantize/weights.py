"""Weight-only INT8: matrices are INT8 with a scale for every few weights, and become FP32 again before a product.

Cast, Mul and Reshape over constants say so, which a runtime computes once, when it opens the graph: the file is as
small as INT8's, the arithmetic is FP32's. A DequantizeLinear before a MatMul says the same, but ONNX Runtime makes INT8
arithmetic of it unasked (findings/onnxruntime-weight-only-dequantize-computes-int8.sh).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgebert.exporters.quantize.graph import (
    Values,
    add_constant,
    array,
    constants,
    drop_unused,
    load_folded,
    producers,
    replace_nodes,
)
from edgebert.exporters.quantize.products import weight_products

LARGEST = 127
# Weights of a column that share a scale. On MiniLM, 64 of them put embeddings 0.00017 from FP32, whole columns 0.0004.
MOST, LEAST = 64, 16
# The opset whose DequantizeLinear takes a scale for a part of a column.
BLOCKS_FROM = 21


def quantize_weights_alone(graph: Path, leave: Collection[str] = ()) -> onnx.ModelProto:
    """Store every matrix of a product in INT8, but the heads'; the arithmetic stays FP32.

    The error of an element is at most half its group's largest value over 127.

    Args:
        graph: FP32 ONNX graph.
        leave: Nodes whose matrices stay FP32 too.

    Returns:
        The graph with INT8 matrices. A matrix that several products share is stored once.
    """
    model = load_folded(graph, leave)
    known, chosen = constants(model), weight_products(model).keys() - set(leave)
    nodes: list[onnx.NodeProto] = []
    written: dict[str, str] = {}
    for node in model.graph.node:
        if node.name in chosen:
            matrix = node.input[1]
            if matrix not in written:
                made = _multiplied_out(model, matrix, array(known[matrix]))
                written[matrix] = made[-1].output[0]
                nodes += made
            node.input[1] = written[matrix]
        nodes.append(node)
    replace_nodes(model, nodes)
    drop_unused(model)
    return model


def quantized_groups(values: Values) -> tuple[Values, Values]:
    """Round a matrix to INT8, every group of a column by a scale of its own.

    *Shape*: (inner, columns). The INT8 values are (groups, weights of a group, columns), the scales (groups, 1,
    columns), float32; a product of the two, reshaped, is the matrix again.
    """
    inner, columns = values.shape
    size = next((size for size in range(MOST, LEAST - 1, -1) if inner % size == 0), inner)
    groups = values.reshape(inner // size, size, columns)
    scale = (np.maximum(np.abs(groups).max(axis=1, keepdims=True), 1e-12) / LARGEST).astype(np.float32)
    return np.clip(np.rint(groups / scale), -LARGEST, LARGEST).astype(np.int8), scale


def decode_in_one_step(model: onnx.ModelProto) -> int:
    """Let one DequantizeLinear make FP32 of each matrix, in place of three operators: a session that opens takes half.

    ONNX Runtime keeps what each of the three gave until the graph is open, which is three times the FP32 matrices.
    The graph is for sessions with `OnnxOptions.weights_alone`; others would compute on integers.

    Returns:
        How many matrices are decoded so.
    """
    known, made_by = constants(model), producers(model)
    nodes: list[onnx.NodeProto] = []
    gone: set[str] = set()
    for node in model.graph.node:
        chain = _chain(node, made_by)
        if chain is None or chain[0].input[0] not in known:
            nodes.append(node)
            continue
        values, scale = known[chain[0].input[0]], known[chain[1].input[1]]
        groups, size, columns = values.dims
        del values.dims[:], scale.dims[:]
        values.dims.extend([groups * size, columns])
        scale.dims.extend([groups, columns])
        names, made = [values.name, scale.name], f"{values.name}.decode"
        nodes.append(helper.make_node("DequantizeLinear", names, list(node.output), made, axis=0, block_size=size))
        gone |= {each.output[0] for each in chain}
    replace_nodes(model, [node for node in nodes if node.output[0] not in gone])
    drop_unused(model)
    if gone:
        for opset in model.opset_import:
            opset.version = max(opset.version, BLOCKS_FROM) if not opset.domain else opset.version
    return len(gone) // 2


def _chain(node: onnx.NodeProto, made_by: dict[str, onnx.NodeProto]) -> tuple[onnx.NodeProto, onnx.NodeProto] | None:
    """The Cast and the Mul before the Reshape of `_multiplied_out`; None if the node is something else."""
    rescale = made_by.get(node.input[0]) if node.op_type == "Reshape" else None
    cast = made_by.get(rescale.input[0]) if rescale is not None and rescale.op_type == "Mul" else None
    return None if cast is None or rescale is None or cast.op_type != "Cast" else (cast, rescale)


def _multiplied_out(model: onnx.ModelProto, name: str, values: Values) -> list[onnx.NodeProto]:
    """Add a matrix in INT8; the nodes make it FP32 again, the last one in its own shape."""
    rounded, scale = quantized_groups(values)
    add_constant(model, f"{name}.int8", rounded)
    add_constant(model, f"{name}.scale", scale)
    add_constant(model, f"{name}.shape", np.array(values.shape, np.int64))
    return [
        helper.make_node("Cast", [f"{name}.int8"], [f"{name}.float"], f"{name}.cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}.float", f"{name}.scale"], [f"{name}.rescaled"], f"{name}.rescale"),
        helper.make_node("Reshape", [f"{name}.rescaled", f"{name}.shape"], [f"{name}.fp32"], f"{name}.reshape"),
    ]
