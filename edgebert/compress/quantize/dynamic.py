"""Dynamic INT8 by ONNX Runtime: INT8 weights, activations quantized as they come. The only file that calls it."""

from __future__ import annotations

import logging
from pathlib import Path

import onnx
from onnxruntime.quantization import QuantType, quantize_dynamic

from edgebert.compress.quantize.graph import constants, producers
from edgebert.target import ExportChoice

WIDEST_HEAD = 256
TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


def quantize_weights(graph: Path, choice: ExportChoice, out: Path) -> None:
    """Quantize every matrix product with a constant side, but the heads.

    Args:
        graph: FP32 ONNX graph.
        choice: The profile's weight type, granularity and range.
        out: File for the INT8 graph.
    """
    logging.getLogger().addFilter(_no_preprocessing_hint)
    try:
        quantize_dynamic(
            str(graph),
            str(out),
            per_channel=choice.per_channel,
            reduce_range=choice.reduce_range,
            weight_type=TYPES[choice.weight_type],
            op_types_to_quantize=["MatMul"],
            nodes_to_exclude=head_matmuls(onnx.load(graph)),
            extra_options={"MatMulConstBOnly": True, "DefaultTensorType": onnx.TensorProto.FLOAT},
        )
    finally:
        logging.getLogger().removeFilter(_no_preprocessing_hint)


def head_matmuls(model: onnx.ModelProto) -> list[str]:
    """Names of the matrix products that give the outputs: the few weights that decide a label stay FP32.

    A graph whose output is a norm of the encoder's rows has none; neither has one as wide as a vocabulary.
    """
    made_by, known = producers(model), constants(model)
    found = []
    for output in model.graph.output:
        node: onnx.NodeProto | None = made_by[output.name]
        while node is not None and node.op_type not in ("MatMul", "Gemm", "LayerNormalization"):
            node = next((made_by[name] for name in node.input if name not in known and name in made_by), None)
        product = node is not None and node.op_type != "LayerNormalization" and node.input[1] in known
        if node is not None and product and min(known[node.input[1]].dims) <= WIDEST_HEAD:
            found.append(str(node.name))
    return found


def _no_preprocessing_hint(record: logging.LogRecord) -> bool:
    return "pre-processing" not in record.getMessage()
