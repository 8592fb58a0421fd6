"""INT8 word embeddings: one scale a row, so that a rare word keeps its precision. A quarter of the table's bytes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgebert.exporters.quantize.graph import add_constant, array, constants, drop_unused, replace_nodes

SMALLEST_TABLE = 1 << 16


def quantize_embeddings(model: onnx.ModelProto) -> list[str]:
    """Turn every large FP32 table that token ids look up into INT8 rows and a scale a row, in place.

    Returns:
        Names of the tables. The error of an element is at most half its row's largest value over 127.
    """
    known = constants(model)
    nodes, done = [], []
    for node in model.graph.node:
        table = known.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or table.data_type != TensorProto.FLOAT or np.prod(table.dims) < SMALLEST_TABLE:
            nodes.append(node)
            continue
        nodes += _lookup(model, node, table)
        done.append(table.name)
    replace_nodes(model, nodes)
    drop_unused(model)
    return done


def _lookup(model: onnx.ModelProto, node: onnx.NodeProto, table: onnx.TensorProto) -> list[onnx.NodeProto]:
    values = array(table)
    scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12) / 127.0
    rows = np.clip(np.rint(values / scale), -127, 127).astype(np.int8)
    name, ids, output = table.name, node.input[1], node.output[0]
    add_constant(model, f"{name}.int8", rows)
    add_constant(model, f"{name}.scale", scale.astype(np.float32))
    return [
        helper.make_node("Gather", [f"{name}.int8", ids], [f"{output}.int8"], f"{node.name}.int8"),
        helper.make_node("Gather", [f"{name}.scale", ids], [f"{output}.scale"], f"{node.name}.scale"),
        helper.make_node("Cast", [f"{output}.int8"], [f"{output}.float"], f"{node.name}.cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{output}.float", f"{output}.scale"], [output], f"{node.name}.rescale"),
    ]
