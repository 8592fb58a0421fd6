"""Static INT8 by neural-compressor, written as QDQ ONNX with INT8 weights. The only file that calls it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto

from edgebert.compress.data import pad_batch
from edgebert.compress.progress import progress
from edgebert.compress.quantize.graph import add_constant, array, constants, drop_unused, producers, replace_nodes
from edgebert.exporters.onnx import dynamic_shapes, save_module
from edgebert.runtime.encode import Encoded
from edgebert.target import ExportChoice

BATCH = 8


def quantize_static(
    module: Any,  # noqa: ANN401
    rows: Sequence[Encoded],
    outputs: Sequence[str],
    max_length: int,
    choice: ExportChoice,
    out: Path,
) -> None:
    """Calibrate on real texts, convert, export, fold the weights to INT8.

    Args:
        module: The model rewritten for inference (`exporters.onnx.fast_module`).
        rows: Encoded calibration texts.
        outputs: Names of its outputs.
        max_length: Longest input in tokens.
        choice: The profile's activation type: uint8 has a zero point, int8 is symmetric.
        out: File for the QDQ graph.
    """
    names = module.inputs
    batches = [_batch(rows[start : start + BATCH], names) for start in range(0, len(rows), BATCH)]
    shapes = dynamic_shapes(names, max_length)
    converted = _calibrated(module, batches, shapes, choice)
    save_module(converted, batches[0], outputs, shapes, out)
    graph = onnx.load(out)
    fold_weights(graph)
    onnx.save(graph, out)


def fold_weights(model: onnx.ModelProto) -> None:
    """Store weights as INT8: run QuantizeLinear, Clip and Transpose on constants, and drop idle Clips, in place."""
    known, made_by = constants(model), producers(model)
    nodes: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    for node in model.graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        if node.op_type == "QuantizeLinear" and node.input[0] in known:
            _fold_quantize(model, node, known)
        elif node.op_type == "Clip":
            renamed[node.output[0]] = node.input[0]
        elif node.op_type == "Transpose" and _is_weight(made_by.get(node.input[0]), known):
            _fold_transpose(model, made_by[node.input[0]], known)
            renamed[node.output[0]] = node.input[0]
        else:
            nodes.append(node)
    replace_nodes(model, nodes)
    drop_unused(model)


def _fold_quantize(model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, TensorProto]) -> None:
    values, scale, zero = (array(known[name]) for name in node.input[:3])
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 1)
    if scale.ndim:
        shape = [-1 if at == axis else 1 for at in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    low, high = (-128, 127) if zero.dtype == np.int8 else (0, 255)
    quantized = np.clip(np.rint(values / scale) + zero.astype(np.int32), low, high).astype(zero.dtype)
    add_constant(model, node.output[0], quantized)
    known[node.output[0]] = model.graph.initializer[-1]


def _is_weight(node: onnx.NodeProto | None, known: dict[str, TensorProto]) -> bool:
    return node is not None and node.op_type == "DequantizeLinear" and node.input[0] in known


def _fold_transpose(model: onnx.ModelProto, node: onnx.NodeProto, known: dict[str, TensorProto]) -> None:
    """Transpose the INT8 matrix behind a DequantizeLinear, and move the axis of its scales along."""
    name = f"{node.input[0]}.transposed"
    add_constant(model, name, array(known[node.input[0]]).T)
    known[name] = model.graph.initializer[-1]
    node.input[0] = name
    for attribute in node.attribute:
        if attribute.name == "axis":
            attribute.i = 1 - attribute.i


def _calibrated(
    module: torch.nn.Module, batches: list[dict[str, Any]], shapes: dict[str, Any], choice: ExportChoice
) -> Any:  # noqa: ANN401
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from neural_compressor.torch.export import export
        from neural_compressor.torch.quantization import StaticQuantConfig, convert, prepare

        logging.getLogger("neural_compressor").setLevel(logging.ERROR)
        captured = export(module, tuple(batches[0].values()), dynamic_shapes=tuple(shapes.values()))
        config = StaticQuantConfig(act_dtype=choice.activation_type, act_sym=choice.activation_type == "int8")
        prepared = prepare(captured, config)
        with torch.no_grad():
            for batch in progress(batches, desc="calibrate", unit="batch"):
                prepared(*batch.values())
        return convert(prepared)


def _batch(rows: Sequence[Encoded], names: list[str]) -> dict[str, Any]:
    items = [{"input_ids": row.ids, "token_type_ids": row.type_ids} for row in rows]
    batch = pad_batch(items)
    return {name: batch[name] for name in names}
