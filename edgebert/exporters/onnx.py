"""Write a model as an ONNX graph with dynamic batch and length."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import onnx
import torch
from torch import Tensor, nn

from edgebert.compress import arch, optimum_tables
from edgebert.errors import RunError
from edgebert.exporters.attention import fuse_attention
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.quick_trace import quick_trace
from edgebert.exporters.shared import share_equal_weights
from edgebert.exporters.steady import steady_order
from edgebert.tasks.training import AnyTrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

OPSET = 20
MOST_BATCH = 4096
TRACED_LENGTH = 16

# Dynamic axes of every input, with their `torch.export.Dim`.
DynamicShapes = dict[str, dict[int, object]]


def export_plain(model: PreTrainedModel, task: AnyTrainingTask, outputs: Sequence[str], out: Path) -> list[str]:
    """Write the model as transformers defines it: the full-precision baseline.

    Args:
        model: The task model.
        task: Training side of the task.
        outputs: Names of the graph's outputs.
        out: The `.onnx` file.

    Returns:
        Names of the graph's inputs.
    """
    module = PlainModel(model.eval(), task)
    onnx.save(_traced(module, outputs, model.config, arch.longest_input(model.config)), out)
    return module.inputs


def can_rewrite(config: PreTrainedConfig) -> bool:
    """Whether models of this config have layers that `exporters.inference` can rewrite."""
    return arch.family_of(config).standard_layers


def fast_module(
    model: PreTrainedModel, task: AnyTrainingTask, segments: int, max_length: int
) -> InferenceModel | PlainModel:
    """The model rewritten for inference (`exporters.inference`), with positions up to `max_length`.

    A model that cannot be rewritten is returned as transformers defines it. `inputs` names the module's inputs.
    """
    if not can_rewrite(model.config):
        return PlainModel(model.eval(), task)
    return InferenceModel(model.eval(), task.head(model), task.rows, segments, max_length).eval()


def export_fast(
    model: PreTrainedModel,
    task: AnyTrainingTask,
    outputs: Sequence[str],
    segments: int,
    max_length: int,
    out: Path,
) -> list[str]:
    """Write the model rewritten for inference, each attention as one operator (`exporters.attention`).

    The arguments are those of `export_plain` and `fast_module`.

    Returns:
        Names of the graph's inputs.
    """
    module = fast_module(model, task, segments, max_length)
    export_module(module, outputs, model.config, max_length, out)
    return module.inputs


def export_module(
    module: InferenceModel | PlainModel,
    outputs: Sequence[str],
    config: PreTrainedConfig,
    max_length: int,
    out: Path,
) -> None:
    """Write a module of `fast_module` for a model with this config; other arguments are those of `export_fast`."""
    graph = _traced(module, outputs, config, max_length)
    fuse_attention(graph)
    onnx.save(graph, out)


class PlainModel(nn.Module):
    """A task model as transformers defines it, with the outputs that the device reads, in order.

    *Shape*: every input (batch, length), int64; outputs as the task defines them, float32.
    """

    def __init__(self, model: PreTrainedModel, task: AnyTrainingTask) -> None:
        """Take a task model and the training side of its task."""
        super().__init__()
        self.model, self.task = model, task
        self.inputs = arch.input_names(model.config)
        steady_order(model)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Outputs of a batch."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        result = self.model(**{name: given[name] for name in self.inputs})
        return self.task.outputs(result)


def graph_inputs(graph: Path) -> list[str]:
    """Names of a graph's inputs, in order."""
    return [value.name for value in onnx.load(graph, load_external_data=False).graph.input]


def dynamic_shapes(names: list[str], max_length: int) -> DynamicShapes:
    """Dynamic batch and length for every input."""
    batch = torch.export.Dim("batch", min=1, max=MOST_BATCH)
    length = torch.export.Dim("length", min=2, max=max_length)
    return {name: {0: batch, 1: length} for name in names}


def traced(
    module: nn.Module, inputs: dict[str, torch.Tensor], outputs: Sequence[str], shapes: DynamicShapes
) -> onnx.ModelProto:
    """The traced graph of a module, without traces of this machine (paths, stack traces)."""
    # Suppresses four lines on stderr about torchvision, which is not installed and not needed.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad(), quick_trace():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(inputs.values()),
            dynamo=True,
            dynamic_shapes=tuple(shapes.values()),
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            verbose=False,
        )
    if program is None:
        raise RunError("torch.onnx.export gave no graph; run with --debug for its messages")
    graph = program.model_proto
    # onnxscript's rewrite rules hold the last graph that they matched, and each of its values holds its weights.
    for value in program.model.graph.initializers.values():
        value.const_value = None
    program.model.graph.initializers.clear()
    del program
    strip(graph)
    return graph


def strip(model: onnx.ModelProto) -> None:
    """Remove doc strings and exporter metadata, which contain source paths and differ from run to run."""
    model.doc_string = ""
    del model.metadata_props[:]
    model.producer_name, model.producer_version = "edgebert", ""
    graph = model.graph
    graph.name, graph.doc_string = "edgebert", ""
    del graph.metadata_props[:]
    for item in [*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output]:
        item.doc_string = ""
        del item.metadata_props[:]


def _traced(
    module: InferenceModel | PlainModel, outputs: Sequence[str], config: PreTrainedConfig, max_length: int
) -> onnx.ModelProto:
    inputs = optimum_tables.dummy_inputs(config, module.inputs, length=min(TRACED_LENGTH, max_length))
    inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
    graph = traced(module, inputs, outputs, dynamic_shapes(module.inputs, max_length))
    if arch.family_of(config).in_group:
        share_equal_weights(graph)
    return graph
