"""Dynamic INT8 by ONNX Runtime: INT8 weights, activations quantized as they come. The only file that calls it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgebert.compress.memory import give_back
from edgebert.exporters.quantize.graph import load_folded
from edgebert.exporters.quantize.products import head_matmuls
from edgebert.target import ExportChoice

TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


def quantize_weights(graph: Path, choice: ExportChoice, out: Path, leave: Collection[str] = ()) -> None:
    """Quantize every matrix product with a constant side, but the heads.

    Args:
        graph: FP32 ONNX graph.
        choice: The profile's weight type, granularity and range.
        out: File for the INT8 graph.
        leave: Nodes to leave in FP32 too.
    """
    full = load_folded(graph, leave)
    heads = head_matmuls(full)
    # A model in memory would be copied twice more than a file is.
    onnx.save(full, out)
    del full
    give_back()
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
