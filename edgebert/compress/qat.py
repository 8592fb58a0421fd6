"""Quantization-aware training: the model learns with fake quantization in its matrix products and word table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import arch, checkpoint
from edgebert.compress.data import TaskData
from edgebert.compress.distill import Lesson, Teacher, train_student
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.recipe import QuantizeSettings
from edgebert.target import ExportChoice

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VERSION = 5
STAGE = "quantization-aware"


@dataclass(frozen=True)
class Int8:
    """The INT8 settings that a model trains for: the recipe's `[quantize]` table and the profile's types."""

    settings: QuantizeSettings
    choice: ExportChoice


def train_aware(source: Path, teacher: Teacher, data: TaskData, int8: Int8, run: Run, out: Path) -> StageReport:
    """Distil the teacher again, into a model that computes like its future INT8 graph.

    The saved weights are the full-precision ones behind the fake-quantized values. The reported metric, which also
    selects the best evaluation, is that of the fake-quantized model.

    Args:
        source: Folder of the model to quantize.
        teacher: The teacher, with the same vocabulary, and the teacher layers that the model's layers correspond to.
        data: Labelled and unlabelled examples.
        int8: Types, granularity and range of weights and activations, and the training.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the trained model.
    """
    settings = int8.settings
    assert settings.recover is not None
    student = checkpoint.load_model(source, run.task, data.label_names)
    round_products(student, int8.choice)
    if settings.embeddings == "int8":
        round_words(student)
    lesson = Lesson(STAGE, "quantize.recover", settings.recover, settings.loss)
    return train_student(student, teacher, data, lesson, run, out)


def round_products(model: PreTrainedModel, choice: ExportChoice) -> None:
    """Fake-quantize weights and inputs of all linear layers in the encoder and pooler, in place.

    Parameters keep their names and values. Heads stay as they are, as in the INT8 graph. One exception: the
    masked-language head's vocabulary layer is INT8 in the graph and not fake-quantized here.
    """
    padding = Padding()
    model.register_forward_pre_hook(padding.note, with_kwargs=True)
    roots = [*arch.encoder_layers(model), *filter(None, [arch.pooler(model)])]
    for root in roots:
        for module in root.modules():
            if type(module) is nn.Linear:
                module.__class__ = RoundedLinear
                rounded = cast("RoundedLinear", module)
                rounded.choice, rounded.padding = choice, padding


def round_words(model: PreTrainedModel) -> None:
    """Fake-quantize the word table with one scale per row, in place; skip a low-rank table."""
    words = arch.words(model)
    if type(words) is nn.Embedding:
        words.__class__ = RoundedEmbedding


class Padding:
    """Which tokens of the current batch are real: padding has values too, but a text that runs alone has none.

    Attributes:
        real: The batch's attention mask. *Shape*: (texts, tokens). None if the batch has none.
    """

    real: Tensor | None = None

    def note(self, _model: PreTrainedModel, _args: tuple[object, ...], given: dict[str, Tensor]) -> None:
        """Store the mask that the model is called with."""
        self.real = given.get("attention_mask")

    def blank(self, values: Tensor) -> Tensor:
        """Set padding to zero, so that it widens no range. *Shape*: (texts, tokens, ...), or any without tokens."""
        if self.real is None or values.shape[:2] != self.real.shape:
            return values
        return values * self.real.view(*self.real.shape, *[1] * (values.ndim - 2)).to(values.dtype)


class RoundedLinear(nn.Linear):
    """A fake-quantized linear layer; gradients pass the rounding unchanged (Bengio et al. 2013).

    *Shape*: as `nn.Linear`. The first axis counts texts: each has its own range, as if it ran alone.
    """

    choice: ExportChoice
    padding: Padding

    def forward(self, input: Tensor) -> Tensor:
        """Multiply fake-quantized inputs by fake-quantized weights."""
        weight = rounded_weight(self.weight, self.choice)
        rounded = rounded_texts(input, self.padding.blank(input), self.choice.activation_type)
        return functional.linear(rounded, weight, self.bias)


class RoundedEmbedding(nn.Embedding):
    """A table whose rows are fake-quantized to INT8, with one scale per row. *Shape*: as `nn.Embedding`."""

    def forward(self, input: Tensor) -> Tensor:
        """Look up fake-quantized rows."""
        found = super().forward(input)
        rows = found.flatten(0, -2)
        return _symmetric(rows, rows.detach(), 127).view_as(found)


def rounded_weight(weight: Tensor, choice: ExportChoice) -> Tensor:
    """Round weights as INT8 stores them. *Shape*: (out, in).

    One scale per output if the profile quantizes per channel; seven bits with `reduce_range`; int8 is symmetric, uint8
    has a zero point.
    """
    seen = weight.detach() if choice.per_channel else weight.detach().view(1, -1)
    if choice.weight_type == "int8":
        return _symmetric(weight, seen, 64 if choice.reduce_range else 127)
    return _with_zero_point(weight, seen, 127 if choice.reduce_range else 255)


def rounded_texts(values: Tensor, real: Tensor, kind: Literal["int8", "uint8"]) -> Tensor:
    """Round activations as INT8 does, with one range per text, from `real`. *Shape* of both: (texts, ...)."""
    flat, seen = values.float().flatten(1), real.detach().float().flatten(1)
    rounded = _symmetric(flat, seen, 127) if kind == "int8" else _with_zero_point(flat, seen, 255)
    return rounded.view_as(values).to(values.dtype)


def _symmetric(values: Tensor, seen: Tensor, most: int) -> Tensor:
    """Round every row of (rows, values) symmetrically; the range comes from the same (or the only) row of `seen`."""
    scale = seen.abs().amax(1, keepdim=True).clamp_min(1e-12) / most
    return _straight_through(values, torch.round(values / scale) * scale)


def _with_zero_point(values: Tensor, seen: Tensor, steps: int) -> Tensor:
    """Round with a zero point, in steps from the lowest to the highest value."""
    low, high = seen.amin(1, keepdim=True).clamp_max(0), seen.amax(1, keepdim=True).clamp_min(0)
    scale = (high - low).clamp_min(1e-12) / steps
    zero = torch.round(-low / scale)
    return _straight_through(values, ((torch.round(values / scale) + zero).clamp(0, steps) - zero) * scale)


def _straight_through(values: Tensor, rounded: Tensor) -> Tensor:
    return values + (rounded - values).detach()
