"""Small tools over ONNX graphs that the quantizers share."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

# A tensor's values, of any of ONNX's types.
Values = NDArray[Any]


def load_folded(graph: Path, leave: Collection[str] = ()) -> onnx.ModelProto:
    """A graph whose products with a transposed constant have a constant of their own instead.

    A head that shares the word table reads it so, and quantizers pass over products without a constant side. Products
    named in `leave` go on sharing.
    """
    model = onnx.load(graph)
    known, kept = constants(model), []
    readers = {name: node for node in model.graph.node for name in node.input}
    for node in model.graph.node:
        reader = readers.get(node.output[0])
        turned = node.op_type == "Transpose" and node.input[0] in known
        if turned and reader is not None and reader.op_type == "MatMul" and reader.name not in leave:
            add_constant(model, node.output[0], array(known[node.input[0]]).T)
        else:
            kept.append(node)
    replace_nodes(model, kept)
    return model


def constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Initializers by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The node that makes each value."""
    return {output: node for node in model.graph.node for output in node.output}


def array(tensor: onnx.TensorProto) -> Values:
    """A tensor's values."""
    values: Values = numpy_helper.to_array(tensor)
    return values


def add_constant(model: onnx.ModelProto, name: str, values: Values) -> str:
    """Add an initializer."""
    model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name


def drop_unused(model: onnx.ModelProto) -> None:
    """Remove nodes whose results nobody reads, then initializers that nobody reads."""
    outputs = {output.name for output in model.graph.output}
    while True:
        read = {name for node in model.graph.node for name in node.input} | outputs
        kept = [node for node in model.graph.node if any(name in read for name in node.output)]
        if len(kept) == len(model.graph.node):
            break
        replace_nodes(model, kept)
    # One by one: a new list of the others would hold every weight a second time.
    for at in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[at].name not in read:
            del model.graph.initializer[at]
    del model.graph.value_info[:]


def replace_nodes(model: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    """Give the graph this list of nodes, in order."""
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
