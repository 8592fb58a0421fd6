"""Write a second graph for texts without padding: no attention mask, and weights shared with the first file.

Without a mask ONNX Runtime computes attention block by block and never stores the scores. The second file refers to the
first one's INT8 tensors as ONNX external data, by offset and length. So they are stored once, and mapped into memory
instead of being read and parsed. Full-precision tensors need aligned offsets and are copied. If they are large (tables
or products that stay in full precision), no second file is written.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto

from edgebert.exporters.attention import OPERATOR
from edgebert.exporters.quantize.graph import drop_unused
from edgebert.exporters.quantize.weights import decode_in_one_step

UNPADDED = "unpadded.onnx"
# The first inputs of MultiHeadAttention: queries, keys, values. A bias and the mask follow.
PROJECTIONS = 3
BYTES = (TensorProto.INT8, TensorProto.UINT8)
LEAST_BYTES = 1024
# Maximum size that the second file may copy: a tenth of the first file, or a MiB.
COPIED_SHARE, COPIED_BYTES = 0.1, 1 << 20


def write_unpadded(graph: Path, out: Path) -> bool:
    """Write the graph for texts without padding, in the folder of the graph that holds its weights.

    Returns:
        Whether it was written; it is not if attention is not one operator or weights are not INT8. An older file is
        removed.
    """
    out.unlink(missing_ok=True)
    model = onnx.load(graph)
    if not drop_mask(model) or all(tensor.data_type not in BYTES for tensor in model.graph.initializer):
        return False
    decode_in_one_step(model)
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
    """Remove the mask from all attention, in place; a pooling head still reads it, and every input of the graph stays.

    Returns:
        Number of operators that had a mask.
    """
    attention = [node for node in model.graph.node if node.op_type == OPERATOR]
    for node in attention:
        del node.input[PROJECTIONS:]
    drop_unused(model)
    return len(attention)


def _refer(tensor: TensorProto, file: str, offset: int) -> None:
    """Replace a tensor's data by a reference to its bytes in a file."""
    place = {"location": file, "offset": str(offset), "length": str(len(tensor.raw_data))}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=value)
