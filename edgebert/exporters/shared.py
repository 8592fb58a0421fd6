"""Store equal weights of a graph once: the exporter copies shared layers (ALBERT's) for every use."""

from __future__ import annotations

import numpy as np
import onnx

from edgebert.exporters.quantize.graph import add_constant, array, constants, drop_unused, replace_nodes

# Smaller constants are not worth another pass over the names.
LEAST_BYTES = 1024


def share_equal_weights(model: onnx.ModelProto) -> int:
    """Let every node read the first of equal weights, and drop the others, in place.

    The exporter transposes a shared weight with a node. The result becomes a weight again, which can be quantized.

    Returns:
        Number of dropped weights.
    """
    _turn_weights(model)
    kept: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    same: dict[str, str] = {}
    for weight in model.graph.initializer:
        if len(weight.raw_data) < LEAST_BYTES:
            continue
        first = kept.setdefault((weight.data_type, tuple(weight.dims), weight.raw_data), weight.name)
        if first != weight.name:
            same[weight.name] = first
    if not same:
        return 0
    for node in model.graph.node:
        for at, name in enumerate(node.input):
            node.input[at] = same.get(name, name)
    weights = [weight for weight in model.graph.initializer if weight.name not in same]
    del model.graph.initializer[:]
    model.graph.initializer.extend(weights)
    return len(same)


def _turn_weights(model: onnx.ModelProto) -> None:
    """Replace a Transpose of a weight by the transposed weight, unless other nodes (such as lookups) read it."""
    weights, nodes = constants(model), []
    looked_up = {name for node in model.graph.node if node.op_type != "Transpose" for name in node.input}
    for node in model.graph.node:
        if node.op_type == "Transpose" and node.input[0] in weights and node.input[0] not in looked_up:
            order = list(node.attribute[0].ints) if node.attribute else None
            add_constant(model, node.output[0], np.ascontiguousarray(array(weights[node.input[0]]).transpose(order)))
        else:
            nodes.append(node)
    replace_nodes(model, nodes)
    drop_unused(model)
