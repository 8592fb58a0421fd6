"""Static INT8 by neural-compressor, written as QDQ ONNX with INT8 weights. The only file that calls it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto

from edgebert.compress.batch import pad_batch
from edgebert.compress.progress import progress
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.onnx import DynamicShapes, PlainModel, dynamic_shapes, traced
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.graph import (
    Values,
    add_constant,
    array,
    constants,
    drop_unused,
    producers,
    replace_nodes,
)
from edgebert.exporters.quantize.ranges import Histogram, choose_range
from edgebert.runtime.encode import Encoded
from edgebert.target import ExportChoice

BATCH = 8
# Of seven bits: two products of such weights with eight-bit activations fit into 16 bits (127 is what eight bits hold).
SEVEN_BITS = 64


def quantize_static(
    module: InferenceModel | PlainModel,
    calibration: Calibration,
    outputs: Sequence[str],
    max_length: int,
    choice: ExportChoice,
    out: Path,
) -> None:
    """Calibrate on real texts, convert, export, fold the weights to INT8.

    `minmax` is neural-compressor's own: a moving average of the extremes of batches of eight padded texts, which hardly
    leaves those of the first batch (a hundredth of every later one). The other methods see each text alone, unpadded,
    and choose from a histogram of all values (`exporters.quantize.ranges`).

    Args:
        module: The model rewritten for inference (`exporters.onnx.fast_module`).
        calibration: Encoded texts, and the method.
        outputs: Names of its outputs.
        max_length: Longest input in tokens.
        choice: The profile's activation type, where uint8 has a zero point and int8 is symmetric; and its
            `reduce_range`. Weights are symmetric, with one scale a column.
        out: File for the QDQ graph.
    """
    names, rows = module.inputs, calibration.rows
    size = BATCH if calibration.method == "minmax" else 1
    batches = [_batch(rows[start : start + size], names) for start in range(0, len(rows), size)]
    example, shapes = _batch(rows[:BATCH], names), dynamic_shapes(names, max_length)
    converted = _calibrated(_Capture(module, example, shapes), batches, choice, calibration.method)
    graph = traced(converted, example, outputs, shapes)
    fold_weights(graph, choice.reduce_range)
    onnx.save(graph, out)


def fold_weights(model: onnx.ModelProto, reduce_range: bool = False) -> None:
    """Store weights as INT8: run QuantizeLinear, Clip and Transpose on constants, and drop idle Clips, in place.

    With `reduce_range` matrices have seven bits: their scales grow as their values shrink.
    """
    known, made_by = constants(model), producers(model)
    nodes: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if node.op_type == "QuantizeLinear" and node.input[0] in known:
            _fold_quantize(model, node, known, reduce_range)
        elif node.op_type == "DequantizeLinear" and _wider(node.input[1]) in known and node.input[0] in known:
            node.input[1] = _wider(node.input[1])
            nodes.append(node)
        elif node.op_type == "Clip" and _is_quantized(made_by.get(node.input[0]), node.input[0], known):
            renamed[node.output[0]] = node.input[0]
        elif node.op_type == "Transpose" and _is_weight(made_by.get(node.input[0]), known):
            _fold_transpose(model, made_by[node.input[0]], known)
            renamed[node.output[0]] = node.input[0]
        else:
            nodes.append(node)
    replace_nodes(model, nodes)
    drop_unused(model)


def _fold_quantize(
    model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, TensorProto], reduce_range: bool
) -> None:
    values, scale, zero = (array(known[name]) for name in node.input[:3])
    low, high = (-128, 127) if zero.dtype == np.int8 else (0, 255)
    if reduce_range and zero.dtype == np.int8 and values.ndim > 1:
        low, high = -SEVEN_BITS, SEVEN_BITS
        scale = scale * np.float32(127 / SEVEN_BITS)
        known[_wider(node.input[1])] = _constant(model, _wider(node.input[1]), scale)
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    if scale.ndim:
        shape = [-1 if at == axis else 1 for at in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    quantized = np.clip(np.rint(values / scale) + zero.astype(np.int32), low, high).astype(zero.dtype)
    known[node.output[0]] = _constant(model, node.output[0], quantized)


def _constant(model: onnx.ModelProto, name: str, values: Values) -> TensorProto:
    add_constant(model, name, values)
    return model.graph.initializer[-1]


def _wider(scale: str) -> str:
    """Name of the scale of seven-bit weights in the place of one of eight."""
    return f"{scale}.seven_bits"


def _is_quantized(maker: onnx.NodeProto | None, name: str, known: dict[str, TensorProto]) -> bool:
    """Whether a value is in integers already: cutting it to their range does nothing."""
    return name in known or (maker is not None and maker.op_type == "QuantizeLinear")


def _is_weight(node: onnx.NodeProto | None, known: dict[str, TensorProto]) -> bool:
    return node is not None and node.op_type == "DequantizeLinear" and node.input[0] in known


def _fold_transpose(model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, TensorProto]) -> None:
    """Transpose the INT8 matrix behind a DequantizeLinear, and move the axis of its scales along."""
    name = f"{node.input[0]}.transposed"
    known[name] = _constant(model, name, array(known[node.input[0]]).T)
    node.input[0] = name
    for attribute in node.attribute:
        if attribute.name == "axis":
            attribute.i = 1 - attribute.i


@dataclass(frozen=True)
class _Capture:
    """A module, and what it is traced with."""

    module: torch.nn.Module
    example: dict[str, torch.Tensor]
    shapes: DynamicShapes


def _calibrated(
    capture: _Capture, batches: list[dict[str, torch.Tensor]], choice: ExportChoice, calibration: str
) -> torch.nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neural_compressor.torch.export import export
        from neural_compressor.torch.quantization import StaticQuantConfig, convert, prepare

        logging.getLogger("neural_compressor").setLevel(logging.ERROR)
        captured = export(
            capture.module, tuple(capture.example.values()), dynamic_shapes=tuple(capture.shapes.values())
        )
        is_symmetric = choice.activation_type == "int8"
        prepared = prepare(captured, StaticQuantConfig(act_dtype=choice.activation_type, act_sym=is_symmetric))
        histograms = {} if calibration == "minmax" else _watch(prepared)
        with torch.no_grad():
            for batch in progress(batches, desc="calibrate", unit="batch"):
                prepared(*batch.values())
        for observer, histogram in histograms.items():
            low, high = choose_range(histogram, calibration, is_symmetric)
            observer.min_val, observer.max_val = torch.tensor(low), torch.tensor(high)
        converted: torch.nn.Module = convert(prepared)
        return converted


def _watch(prepared: torch.nn.Module) -> dict[torch.nn.Module, Histogram]:
    """Let every observer of an activation count what it sees in a histogram too."""
    from neural_compressor.torch.algorithms.pt2e_quant.pt2e_compat import xiq

    observers = [module for module in prepared.modules() if isinstance(module, xiq.MovingAverageMinMaxObserver)]
    histograms = {observer: Histogram() for observer in observers}
    for observer, histogram in histograms.items():
        observer.register_forward_pre_hook(partial(_count, histogram))
    return histograms


def _count(histogram: Histogram, _observer: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
    histogram.add(given[0].numpy())


def _batch(rows: Sequence[Encoded], names: list[str]) -> dict[str, torch.Tensor]:
    items = [{"input_ids": row.ids, "token_type_ids": row.type_ids} for row in rows]
    batch = pad_batch(items)
    return {name: batch[name] for name in names}
