"""Attention for a GPU's fused kernels: one matrix product for queries, keys and values, and lengths as the mask.

On a CPU three products are faster (`exporters.inference`). On a GPU, fewer nodes mean fewer kernel launches. A mask
with one number per text lets ONNX Runtime use fused attention; with one number per token it uses plain matrix products.
Definition: ContribOperators.md of ONNX Runtime, `com.microsoft.Attention`.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgebert.exporters.attention import DOMAIN, MASK_INT32, OPERATOR, PACKED
from edgebert.exporters.quantize.graph import add_constant, array, constants, drop_unused, producers, replace_nodes

LENGTHS = "attention_mask.lengths"


def pack_attention(model: onnx.ModelProto, keep: Collection[str] = ()) -> int:
    """Rewrite the attention of a graph of `exporters.attention`, in place; texts must be padded on the right.

    If there are fewer queries than keys (a last layer for [CLS] only), the three products stay, and the mask becomes
    lengths.

    Args:
        model: FP32 graph.
        keep: Outputs of nodes that must stay separate because they stay in FP32.

    Returns:
        Number of attention blocks that have one product now.
    """
    if all(node.op_type != OPERATOR for node in model.graph.node):
        return 0
    packed = {node.output[0]: _packed(model, node, keep) for node in model.graph.node if node.op_type == OPERATOR}
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        nodes.append(packed.get(node.output[0]) or node)
        if node.output[0] == MASK_INT32:
            axis = add_constant(model, f"{LENGTHS}.axis", np.array([1]))
            nodes.append(helper.make_node("ReduceSum", [MASK_INT32, axis], [LENGTHS], LENGTHS, keepdims=0))
    replace_nodes(model, nodes)
    for node in model.graph.node:
        if node.op_type == OPERATOR:
            node.input[4] = LENGTHS
    drop_unused(model)
    return sum(made is not None for made in packed.values())


def _packed(model: onnx.ModelProto, node: onnx.NodeProto, keep: Collection[str]) -> onnx.NodeProto | None:
    """The operator with its projections included; None if they read different rows or are not plain products."""
    tensors, made_by = constants(model), producers(model)
    joined = [node, *(made_by[name] for name in node.input[:3] if name in made_by)]
    if any(name in keep for each in joined for name in (each.output[0], *each.input)):
        return None
    projections = [_projection(name, tensors, made_by) for name in node.input[:3]]
    if any(each is None for each in projections):
        return None
    rows, weights, biases = zip(*(each for each in projections if each is not None), strict=True)
    if len(set(rows)) > 1:
        return None
    context = node.output[0]
    weight = add_constant(model, f"{context}.projection", np.concatenate(weights, axis=1))
    bias = add_constant(model, f"{context}.projection.bias", np.concatenate(biases))
    made = helper.make_node(PACKED, [rows[0], weight, bias, LENGTHS], [context], node.name, domain=DOMAIN)
    made.attribute.extend(node.attribute)
    return made


def _projection(
    name: str, tensors: dict[str, onnx.TensorProto], made_by: dict[str, onnx.NodeProto]
) -> tuple[str, NDArray[np.generic], NDArray[np.generic]] | None:
    """Rows, weights and bias of a plain matrix product; None for any other value."""
    total = made_by.get(name)
    product = made_by.get(total.input[0]) if total is not None and total.op_type == "Add" else None
    if total is None or product is None or product.op_type != "MatMul":
        return None
    if product.input[1] not in tensors or total.input[1] not in tensors:
        return None
    return product.input[0], array(tensors[product.input[1]]), array(tensors[total.input[1]])
