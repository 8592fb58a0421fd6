"""Find nodes whose values exceed FP16's range on real texts, also inside fused operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from edgebert.exporters.attention import MASK, OPERATOR, expand_attention
from edgebert.exporters.inference import MASKED
from edgebert.exporters.mixed import LARGEST, open_unoptimized, tensors_of_type
from edgebert.exporters.quantize.graph import Values, add_constant, array, replace_nodes

# Other texts may have larger values than those measured, so a quarter of the range is the limit.
LIMIT = LARGEST / 4
# Mask constants in transformers' own graphs: the smallest FP32 number, or minus infinity.
MASK_BELOW = -1e30
PRODUCTS = ("MatMul", "Gemm")


@dataclass(frozen=True)
class Overflow:
    """What does not fit FP16: first outputs of the nodes, and the peak of every value beyond the limit.

    A value is a node's output or a weight. `partial sums of X` bounds every sum inside the matrix product with output
    X. `mean square of X` is the mean square inside the LayerNormalization with output X.
    """

    nodes: frozenset[str]
    peaks: dict[str, float]


def lower_masks(model: onnx.ModelProto) -> None:
    """Replace constants that can only be masks (-3.4e38, -inf) by -10000, in place.

    After the softmax both give 0 in every text with a token, and -10000 fits FP16.
    """
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _lower(attribute.t)
    for tensor in model.graph.initializer:
        _lower(tensor)


def find_overflow(model: onnx.ModelProto, batches: Iterable[Mapping[str, Values]]) -> Overflow:
    """Run an FP32 graph on batches, and find the nodes with values beyond a quarter of FP16's range.

    Inputs, outputs, weights and internal sums of a node count.

    The graph itself reduces every value to its largest magnitude, so memory stays that of a plain run.

    Args:
        model: FP32 graph, attention not packed.
        batches: The graph's inputs, padded as a GPU pads them.
    """
    attention = [node.output[0] for node in model.graph.node if node.op_type == OPERATOR]
    probe, watched = _probe(model)
    session, peaks = open_unoptimized(probe), dict.fromkeys(watched, 0.0)
    for batch in batches:
        for name, peak in zip(watched, session.run(list(watched.values()), dict(batch)), strict=True):
            # NaN must be kept: `max` returns its first argument if the two cannot be compared.
            peaks[name] = max(float(np.nan_to_num(peak, nan=np.inf)), peaks[name])
    peaks |= {each.name: _size(each) for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    high = {name: peak for name, peak in peaks.items() if not peak <= LIMIT}
    inner = {name: _holder(name.rpartition(" of ")[2], attention) for name in high}
    found = {
        node.output[0]
        for node in model.graph.node
        if high.keys() & {*node.input, *node.output} or node.output[0] in inner.values()
    }
    return Overflow(frozenset(found), dict(sorted(high.items())))


def _holder(name: str, attention: Iterable[str]) -> str:
    """First output of the node that makes a value or contains it."""
    return next((each for each in attention if name.startswith(f"{each}.")), name)


def _probe(model: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, str]]:
    """Add the peak of every float value as an output; return the graph and these outputs' names by value."""
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    attention = [node.output[0] for node in probe.graph.node if node.op_type == OPERATOR]
    expand_attention(probe)
    _mask_scores(probe, attention)
    floats = tensors_of_type(probe, "tensor(float)")
    nodes: list[onnx.NodeProto] = []
    watched: dict[str, str] = {}
    for node in probe.graph.node:
        nodes.append(node)
        values = [(name, name) for name in node.output if name in floats]
        if node.op_type in PRODUCTS and values:
            sums = f"{node.output[0]}.sums"
            nodes += _partial_sums(node, sums)
            values.append((f"partial sums of {node.output[0]}", sums))
        if node.op_type == "LayerNormalization":
            squares = f"{node.output[0]}.squares"
            nodes.append(helper.make_node("Mul", [node.input[0]] * 2, [f"{squares}.each"]))
            nodes.append(helper.make_node("ReduceMean", [f"{squares}.each", "last.axis"], [squares]))
            values.append((f"mean square of {node.output[0]}", squares))
        for shown, name in values:
            watched[shown] = f"{name}.peak"
            nodes.append(helper.make_node("Abs", [name], [f"{name}.size"]))
            nodes.append(helper.make_node("ReduceMax", [f"{name}.size"], [f"{name}.peak"], keepdims=0))
    add_constant(probe, "last.axis", np.array([-1]))
    replace_nodes(probe, nodes)
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched.values())
    return probe, watched


def _mask_scores(model: onnx.ModelProto, attention: Iterable[str]) -> None:
    """Add the mask to scores of attention that was expanded without it, in place."""
    softmax = {f"{name}.scores" for name in attention}
    bias, nodes = "scores.mask", []
    if softmax:
        add_constant(model, f"{bias}.axes", np.array([1, 2]))
        add_constant(model, f"{bias}.one", np.array(1, np.float32))
        add_constant(model, f"{bias}.low", np.array(MASKED, np.float32))
        nodes = [
            helper.make_node("Cast", [MASK], [f"{bias}.cast"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Sub", [f"{bias}.one", f"{bias}.cast"], [f"{bias}.padding"]),
            helper.make_node("Mul", [f"{bias}.padding", f"{bias}.low"], [f"{bias}.scaled"]),
            helper.make_node("Unsqueeze", [f"{bias}.scaled", f"{bias}.axes"], [bias]),
        ]
    for node in model.graph.node:
        if node.op_type == "Softmax" and node.input[0] in softmax:
            masked = f"{node.input[0]}.masked"
            nodes.append(helper.make_node("Add", [node.input[0], bias], [masked]))
            node.input[0] = masked
        nodes.append(node)
    replace_nodes(model, nodes)


def _partial_sums(node: onnx.NodeProto, out: str) -> list[onnx.NodeProto]:
    """Multiply the factors' magnitudes: a bound on every partial sum, in whatever order a kernel adds."""
    factors = [f"{out}.{at}" for at in range(2)]
    made = [helper.make_node("Abs", [name], [each]) for name, each in zip(node.input, factors, strict=False)]
    product = helper.make_node(node.op_type, factors, [out], domain=node.domain)
    product.attribute.extend(node.attribute)
    return [*made, product]


def _lower(tensor: onnx.TensorProto) -> None:
    if tensor.data_type == onnx.TensorProto.FLOAT:
        values = array(tensor)
        if values.size and values.min() < MASK_BELOW:
            lowered = np.where(values < MASK_BELOW, np.float32(MASKED), values).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(lowered, tensor.name))


def _size(tensor: onnx.TensorProto) -> float:
    values = array(tensor)
    return float(np.abs(values).max()) if values.size else 0.0
