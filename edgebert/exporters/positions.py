"""Find the nodes that compute positions: FP16 has no odd whole number beyond 2048, and few digits below."""

from __future__ import annotations

from collections.abc import Collection

import onnx
from onnx import TensorProto

from edgebert.exporters.quantize.graph import producers

# ModernBERT turns rows by angles of up to thousands of radians.
ANGLES = ("Cos", "Sin")
WHOLE = (TensorProto.INT32, TensorProto.INT64)


def position_nodes(model: onnx.ModelProto, floats: Collection[str]) -> set[str]:
    """First outputs of nodes that compute angles, or whole numbers from fractions.

    Args:
        model: FP32 graph.
        floats: Names of its FP32 values.
    """
    made_by, found = producers(model), set[str]()
    stack = [node for node in model.graph.node if node.op_type in ANGLES or _makes_whole(node, floats)]
    while stack:
        node = stack.pop()
        if node.output[0] not in found:
            found.add(node.output[0])
            stack += [made_by[name] for name in node.input if name in floats and name in made_by]
    return found


def _makes_whole(node: onnx.NodeProto, floats: Collection[str]) -> bool:
    """Whether a node turns fractions into whole numbers, such as DeBERTa's distance buckets."""
    return node.op_type == "Cast" and node.input[0] in floats and node.attribute[0].i in WHOLE
