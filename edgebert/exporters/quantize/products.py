"""The matrix products of a graph that INT8 is about: those with a constant side, but the heads."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from edgebert.exporters.quantize.graph import add_constant, array, constants, drop_unused, producers

WIDEST_HEAD = 1024


def weight_products(model: onnx.ModelProto) -> dict[str, str]:
    """Names of the nodes, in order, and what a reader may call them: their layer, where each bias tells one apart."""
    known, heads = constants(model), head_matmuls(model)
    nodes = [node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in known]
    nodes = [node for node in nodes if node.name not in heads]
    names = [str(node.name) for node in nodes]
    readers = {name: node for node in model.graph.node for name in node.input}
    behind = [readers[node.output[0]] for node in nodes if node.output[0] in readers]
    biases = [name for node in behind for name in node.input if name.endswith(".bias")]
    if len(set(biases)) != len(nodes):
        return {name: name for name in names}
    return dict(zip(names, (bias.removesuffix(".bias") for bias in biases), strict=True))


def head_matmuls(model: onnx.ModelProto) -> list[str]:
    """Names of the matrix products that give the outputs: the few weights that decide a label stay FP32.

    A graph whose output is a norm of the encoder's rows has none; a product of more columns scores a vocabulary.
    """
    made_by, known = producers(model), constants(model)
    found = []
    for output in model.graph.output:
        node: onnx.NodeProto | None = made_by[output.name]
        while node is not None and node.op_type not in ("MatMul", "Gemm", "LayerNormalization"):
            node = next((made_by[name] for name in node.input if name not in known and name in made_by), None)
        product = node is not None and node.op_type != "LayerNormalization" and node.input[1] in known
        if node is not None and product and _width(node, known[node.input[1]]) <= WIDEST_HEAD:
            found.append(str(node.name))
    return found


def _width(node: onnx.NodeProto, weights: onnx.TensorProto) -> int:
    """Columns of what a product makes."""
    is_turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return int(weights.dims[0 if is_turned else -1])


def release(quantized: onnx.ModelProto, full: onnx.ModelProto, leave: Collection[str]) -> None:
    """Give products of a QDQ graph their full precision back, in place: weights, and activations as they come.

    Args:
        quantized: A QDQ graph of the same module as `full`, so that their products come in one order.
        full: The full-precision graph.
        leave: Nodes of `full`.
    """
    known, made_by = constants(full), producers(quantized)
    originals = [node for node in full.graph.node if node.op_type == "MatMul" and node.input[1] in known]
    products = [
        node
        for node in quantized.graph.node
        if node.op_type == "MatMul"
        and _dequantized(made_by.get(node.input[1]))
        and _dequantized(made_by[node.input[0]])
    ]
    for original, node in zip(originals, products, strict=True):
        if original.name in leave:
            quantizer = made_by[made_by[node.input[0]].input[0]]
            node.input[0] = quantizer.input[0]
            node.input[1] = add_constant(quantized, f"{node.name}.full", array(known[original.input[1]]))
    drop_unused(quantized)


def _dequantized(node: onnx.NodeProto | None) -> bool:
    return node is not None and node.op_type == "DequantizeLinear"
