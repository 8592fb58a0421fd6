"""Dynamic INT8 by ONNX Runtime: INT8 weights, activations quantized as they come. The only file that calls it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgebert.compress.memory import give_back
from edgebert.exporters.quantize.graph import constants, load_folded
from edgebert.exporters.quantize.products import head_matmuls
from edgebert.target import ExportChoice

# Bytes of a constant from which on another copy counts.
LARGE = 1 << 20
TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


def quantize_weights(graph: Path, choice: ExportChoice, out: Path, leave: Collection[str] = ()) -> None:
    """Quantize every matrix product with a constant side, but the heads.

    Args:
        graph: FP32 ONNX graph.
        choice: The profile's weight type, granularity and range.
        out: File for the INT8 graph.
        leave: Nodes to leave in FP32 too.
    """
    # quantize_dynamic holds four copies of a model given as a file, and more of one in memory.
    heads, parked = _prepare(graph, leave, out)
    give_back(graph.stat().st_size)
    with _root_logger_as_it_is():
        quantize_dynamic(
            str(out),
            str(out),
            per_channel=choice.per_channel,
            reduce_range=choice.reduce_range,
            weight_type=TYPES[choice.weight_type],
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=[*heads, *leave],
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    give_back(graph.stat().st_size)
    _put_back(parked, graph, out)


def _prepare(graph: Path, leave: Collection[str], out: Path) -> tuple[list[str], set[str]]:
    """Write the graph to quantize. Large tables, which stay as they are, have no values there.

    Returns:
        Names of the heads' products, and of those tables.
    """
    full = load_folded(graph, leave)
    heads, parked = head_matmuls(full), _tables(full)
    for tensor in full.graph.initializer:
        if tensor.name in parked:
            tensor.ClearField("raw_data")
    onnx.save(full, out)
    return heads, parked


def _tables(model: onnx.ModelProto) -> set[str]:
    """Names of the large floats that only Gather reads, such as the word table."""
    known = {name: tensor for name, tensor in constants(model).items() if tensor.data_type == onnx.TensorProto.FLOAT}
    readers: dict[str, set[str]] = {name: set() for name, tensor in known.items() if len(tensor.raw_data) > LARGE}
    for node in model.graph.node:
        for name in readers.keys() & set(node.input):
            readers[name].add(node.op_type)
    return {name for name, kinds in readers.items() if kinds == {"Gather"}}


def _put_back(parked: Collection[str], graph: Path, out: Path) -> None:
    """Give the constants of `out` the values that they have in `graph`."""
    if not parked:
        return
    model, known = onnx.load(out), constants(onnx.load(graph))
    for name, tensor in constants(model).items():
        if name in parked:
            tensor.raw_data = known[name].raw_data
            tensor.data_location = onnx.TensorProto.DEFAULT  # stated, as for a table that went through it
    onnx.save(model, out)


@contextmanager
def _root_logger_as_it_is() -> Iterator[None]:
    """Keep ONNX Runtime's hint from standard error, and from giving a root logger without handlers one for good.

    findings/onnxruntime-quantize-dynamic-configures-logging.sh shows the latter.
    """
    root, held = logging.getLogger(), logging.NullHandler()
    root.addFilter(_no_preprocessing_hint)
    root.addHandler(held)
    try:
        yield
    finally:
        root.removeHandler(held)
        root.removeFilter(_no_preprocessing_hint)


def _no_preprocessing_hint(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
