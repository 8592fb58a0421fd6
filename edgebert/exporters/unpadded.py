"""A second graph for texts without padding: attention reads no mask, and weights stay where they are, in the first one.

Without a mask ONNX Runtime weighs block by block and never writes the scores down. The second file names the INT8
tensors of the first as ONNX's external data, by offset and length, so that they are stored once, and mapped into memory
in place of being read and parsed. Full-precision tensors, which want aligned places, are copied; where they are large,
for tables or products that stay in full precision, there is no second file.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto

from edgebert.exporters.attention import OPERATOR
from edgebert.exporters.quantize.graph import drop_unused

UNPADDED = "unpadded.onnx"
# Of MultiHeadAttention's inputs, the first ones: queries, keys, values. A bias and the mask follow.
PROJECTIONS = 3
BYTES = (TensorProto.INT8, TensorProto.UINT8)
LEAST_BYTES = 1024
# Of the first file, what the second may copy: a tenth, or a MiB.
COPIED_SHARE, COPIED_BYTES = 0.1, 1 << 20


def write_unpadded(graph: Path, out: Path) -> bool:
    """Write the graph for texts without padding, in the folder of the graph that holds its weights.

    Returns:
        Whether there is one: attention that is not one operator, and weights that are not INT8, are left as they are.
        An older file there goes.
    """
    out.unlink(missing_ok=True)
    model = onnx.load(graph)
    if not drop_mask(model) or all(tensor.data_type not in BYTES for tensor in model.graph.initializer):
        return False
    stored = graph.read_bytes()
    for tensor in model.graph.initializer:
        if tensor.data_type in BYTES and len(tensor.raw_data) >= LEAST_BYTES:
            _refer(tensor, graph.name, stored.index(tensor.raw_data))
    left = model.SerializeToString()
    if len(left) > max(COPIED_BYTES, COPIED_SHARE * len(stored)):
        return False
    out.write_bytes(left)
    return True


def drop_mask(model: onnx.ModelProto) -> int:
    """Let no attention read a mask, in place; a head that pools still does, and every input of the graph stays.

    Returns:
        How many operators had one.
    """
    attention = [node for node in model.graph.node if node.op_type == OPERATOR]
    for node in attention:
        del node.input[PROJECTIONS:]
    drop_unused(model)
    return len(attention)


def _refer(tensor: TensorProto, file: str, offset: int) -> None:
    """Say where a tensor's bytes lie in place of holding them."""
    place = {"location": file, "offset": str(offset), "length": str(len(tensor.raw_data))}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
