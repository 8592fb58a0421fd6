"""Attention as one operator: ONNX Runtime's MultiHeadAttention in place of a dozen nodes.

The operator splits heads, computes scores, applies the mask, weighs values and joins heads without transposed copies.
All ONNX Runtime providers but TensorRT have it, and so do ONNX Runtime Web and OpenVINO's ONNX reader. Its definition:
ContribOperators.md of ONNX Runtime, `com.microsoft.MultiHeadAttention`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper

from edgebert.exporters.inference import MASKED
from edgebert.exporters.quantize.graph import add_constant, array, constants, drop_unused, producers, replace_nodes

DOMAIN, OPERATOR = "com.microsoft", "MultiHeadAttention"
# The operator that includes the projections (`exporters.packed`).
PACKED = "Attention"
MASK, MASK_INT32 = "attention_mask", "attention_mask.int32"
HEADS_FIRST, KEYS_LAST = [0, 2, 1, 3], [0, 2, 3, 1]


@dataclass(frozen=True)
class _Attention:
    """Names of the values around one attention block: projections in, context out."""

    query: str
    key: str
    value: str
    context: str
    heads: int


def fuse_attention(model: onnx.ModelProto) -> int:
    """Replace every attention block of a graph of `exporters.inference` by the operator, in place.

    Attention of another form, as in graphs that transformers defines, stays as it is.

    Returns:
        Number of replaced blocks.
    """
    graph = _Readable(model)
    found = {attention.context: attention for node in model.graph.node if (attention := graph.attention_around(node))}
    if not found:
        return 0
    nodes = [helper.make_node("Cast", [MASK], [MASK_INT32], MASK_INT32, to=TensorProto.INT32)]
    nodes += [_fused(found[node.output[0]]) if node.output[0] in found else node for node in model.graph.node]
    replace_nodes(model, nodes)
    drop_unused(model)
    if all(entry.domain != DOMAIN for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return len(found)


def expand_attention(model: onnx.ModelProto) -> None:
    """Replace the operators by matrix products again, without the mask, in place.

    The result is for counting and not for running.
    """
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        projected, attention = _unpacked(node) if node.op_type == PACKED else ([], node)
        nodes += [*projected, *_expanded(model, attention)] if attention.op_type == OPERATOR else [node]
    replace_nodes(model, nodes)


class _Readable:
    """A graph whose nodes can be followed in both directions."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.constants, self.made_by = constants(model), producers(model)
        self.readers = {name: node for node in model.graph.node for name in node.input}

    def attention_around(self, node: onnx.NodeProto) -> _Attention | None:
        """The attention block around a softmax, if it has the form of `exporters.inference` with the whole mask."""
        scores = self._maker(node.input[0], "Add") if node.op_type == "Softmax" else None
        if scores is None or not self._is_mask(scores.input[1]):
            return None
        product = self._maker(scores.input[0], "MatMul")
        context = self._reader(node.output[0], "MatMul")
        if product is None or context is None:
            return None
        query, key = self._split(product.input[0], HEADS_FIRST), self._split(product.input[1], KEYS_LAST)
        value = self._split(context.input[1], HEADS_FIRST)
        turned = self._reader(context.output[0], "Transpose")
        joined = self._reader(turned.output[0], "Reshape") if turned is not None else None
        if query is None or key is None or value is None or joined is None:
            return None
        return _Attention(query.input[0], key.input[0], value.input[0], joined.output[0], self._heads(query))

    def _split(self, name: str, order: list[int]) -> onnx.NodeProto | None:
        """Find the Reshape that splits the heads, before a Transpose with this order."""
        transpose = self._maker(name, "Transpose")
        if transpose is None or list(transpose.attribute[0].ints) != order:
            return None
        return self._maker(transpose.input[0], "Reshape")

    def _heads(self, split: onnx.NodeProto) -> int:
        """Number of heads in a Reshape: the last dimension but one of its sizes, which may be computed."""
        name = split.input[1]
        parts = [name] if name in self.constants else self.made_by[name].input
        fixed = [int(size) for part in parts if part in self.constants for size in array(self.constants[part]).ravel()]
        return fixed[-2]

    def _is_mask(self, name: str) -> bool:
        """Whether a value is `(1 - attention_mask) * MASKED`."""
        scaled = self._maker(name, "Mul")
        spread = self._maker(scaled.input[0], "Unsqueeze") if scaled is not None else None
        turned = self._maker(spread.input[0], "Sub") if spread is not None else None
        cast = self._maker(turned.input[1], "Cast") if turned is not None else None
        return cast is not None and cast.input[0] == MASK

    def _maker(self, name: str, operator: str) -> onnx.NodeProto | None:
        node = self.made_by.get(name)
        return node if node is not None and node.op_type == operator else None

    def _reader(self, name: str, operator: str) -> onnx.NodeProto | None:
        node = self.readers.get(name)
        return node if node is not None and node.op_type == operator else None


def _fused(attention: _Attention) -> onnx.NodeProto:
    return helper.make_node(
        OPERATOR,
        [attention.query, attention.key, attention.value, "", MASK_INT32],
        [attention.context],
        f"{attention.context}.attention",
        domain=DOMAIN,
        num_heads=attention.heads,
        mask_filter_value=MASKED,
        scale=1.0,  # it is in the query's weights
    )


def _unpacked(node: onnx.NodeProto) -> tuple[list[onnx.NodeProto], onnx.NodeProto]:
    """The projection of a packed attention, and its attention operator."""
    name, (rows, weights, bias) = node.output[0], node.input[:3]
    split = [f"{name}.query", f"{name}.key", f"{name}.value"]
    projected = [
        helper.make_node("MatMul", [rows, weights], [f"{name}.product"]),
        helper.make_node("Add", [f"{name}.product", bias], [f"{name}.projected"]),
        helper.make_node("Split", [f"{name}.projected"], split, axis=-1, num_outputs=3),
    ]
    attention = helper.make_node(OPERATOR, split, [name], domain=DOMAIN)
    attention.attribute.extend(node.attribute)
    return projected, attention


def _expanded(model: onnx.ModelProto, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    name, heads = node.output[0], next(entry.i for entry in node.attribute if entry.name == "num_heads")
    split = add_constant(model, f"{name}.split", np.array([0, 0, heads, -1]))
    joined = add_constant(model, f"{name}.joined", np.array([0, 0, -1]))
    nodes = []
    # Named by purpose: otherwise equal weights of key and value would be merged into one projection.
    query, key, value = rows = [f"{name}.{part}.rows" for part in ("query", "key", "value")]
    for given, made, order in zip(node.input[:3], rows, (HEADS_FIRST, KEYS_LAST, HEADS_FIRST), strict=True):
        nodes.append(helper.make_node("Reshape", [given, split], [f"{made}.split"]))
        nodes.append(helper.make_node("Transpose", [f"{made}.split"], [made], perm=order))
    return [
        *nodes,
        helper.make_node("MatMul", [query, key], [f"{name}.scores"]),
        helper.make_node("Softmax", [f"{name}.scores"], [f"{name}.weights"], axis=-1),
        helper.make_node("MatMul", [f"{name}.weights", value], [f"{name}.context"]),
        helper.make_node("Transpose", [f"{name}.context"], [f"{name}.turned"], perm=HEADS_FIRST),
        helper.make_node("Reshape", [f"{name}.turned", joined], [name]),
    ]
