"""Write a model as an ONNX graph with free batch and length."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from edgebert.compress import tasks
from edgebert.errors import RunError
from edgebert.exporters.inference import InferenceClassifier

OPSET = 20
MOST_BATCH = 4096


def export_plain(model: Any, task: str, out: Path) -> list[str]:  # noqa: ANN401
    """Write the model as transformers defines it: the full-precision baseline.

    Returns:
        Names of the graph's inputs.
    """
    names = ["input_ids", "attention_mask", "token_type_ids"]
    _export(model.eval(), names, task, model.config, int(model.config.max_position_embeddings), out)
    return names


def export_fast(model: Any, task: str, segments: int, max_length: int, out: Path) -> list[str]:  # noqa: ANN401
    """Write the model rewritten for inference (`exporters.inference`), with positions up to `max_length`.

    Returns:
        Names of the graph's inputs.
    """
    names = input_names(segments)
    module = InferenceClassifier(model.eval(), segments, max_length).eval()
    _export(module, names, task, model.config, max_length, out)
    return names


def input_names(segments: int) -> list[str]:
    """Inputs of the rewritten graph for texts of one or two segments."""
    return ["input_ids", "attention_mask"] + (["token_type_ids"] if segments > 1 else [])


def graph_inputs(graph: Path) -> list[str]:
    """Names of a graph's inputs, in order."""
    return [value.name for value in onnx.load(graph, load_external_data=False).graph.input]


def dynamic_shapes(names: list[str], max_length: int) -> dict[str, dict[int, Any]]:
    """Free batch and length for every input."""
    batch = torch.export.Dim("batch", min=1, max=MOST_BATCH)
    length = torch.export.Dim("length", min=2, max=max_length)
    return {name: {0: batch, 1: length} for name in names}


def save_module(module: nn.Module, inputs: dict[str, Any], shapes: dict[str, Any], out: Path) -> None:
    """Trace a module and save the graph without a trace of this machine (paths, stack traces) in it."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=tuple(shapes.values()),
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=["logits"],
            verbose=False,
        )
    if program is None:
        raise RunError("torch.onnx.export gave no graph; run with --debug for its messages")
    graph = program.model_proto
    strip(graph)
    onnx.save(graph, out)


def strip(model: onnx.ModelProto) -> None:
    """Remove doc strings and exporter metadata, which hold source paths and differ from run to run."""
    model.doc_string = ""
    del model.metadata_props[:]
    model.producer_name, model.producer_version = "edgebert", ""
    graph = model.graph
    graph.name, graph.doc_string = "edgebert", ""
    del graph.metadata_props[:]
    for item in [*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output]:
        item.doc_string = ""
        del item.metadata_props[:]


def _export(module: nn.Module, names: list[str], task: str, config: Any, max_length: int, out: Path) -> None:  # noqa: ANN401
    inputs = tasks.dummy_inputs(task, config, names)
    inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
    save_module(module, inputs, dynamic_shapes(names, max_length), out)
