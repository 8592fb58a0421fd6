"""Describe heads for the native core: for every output a pooling, then steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from edgebert.compress.vector_modules import VectorModules
from edgebert.exporters.core_file import CoreFile
from edgebert.exporters.core_matrices import Matrices, NotCoveredError, activation_number, numbers
from edgebert.tasks.fill_mask.train import VocabularyHead
from edgebert.tasks.intent_slots.train import JointHead
from edgebert.tasks.question_answering.train import SpanHead
from edgebert.tasks.similarity.train import EmbeddingHead
from edgebert.tasks.text_classification.train import PooledHead
from edgebert.tasks.token_classification.train import TokenHead

# In the same order as the enumerations in core/src/model.h.
POOLINGS = ("cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
PRODUCT, NORM, UNIT, CUT, ACTIVATE = range(5)
# As in `exporters.quantize.products`: an output layer stays in FP32 unless it scores a vocabulary.
WIDEST_FULL = 1024


@dataclass(frozen=True)
class Product:
    """A linear layer and an activation."""

    linear: nn.Linear
    activation: Any = None
    is_last: bool = False
    name: str = ""

    @property
    def is_full(self) -> bool:
        """Whether it stays in FP32: an output layer other than vocabulary scores."""
        return self.is_last and self.linear.out_features <= WIDEST_FULL

    def write(self, file: CoreFile, matrices: Matrices) -> None:
        """Write the step to a description."""
        number = matrices.full(self.linear) if self.is_full else matrices.int8(self.linear, self.name, None)
        file.number(PRODUCT, number, 0 if self.activation is None else activation_number(self.activation))


@dataclass(frozen=True)
class Normed:
    """A LayerNorm."""

    norm: nn.LayerNorm

    def write(self, file: CoreFile, matrices: Matrices) -> None:
        """Write the step to a description."""
        file.number(NORM)
        file.row(numbers(self.norm.weight))
        file.row(numbers(self.norm.bias))
        file.real(self.norm.eps)


@dataclass(frozen=True)
class Plain:
    """A step without weights: normalize a vector, or truncate it."""

    numbers: tuple[int, ...]

    def write(self, file: CoreFile, matrices: Matrices) -> None:
        """Write the step to a description."""
        file.number(*self.numbers)


Step = Product | Normed | Plain


@dataclass(frozen=True)
class Head:
    """One output: the pooling over a text's rows (none: every row stays), and the steps after it.

    With `scalar`, a row is a single number and not a vector of length 1.
    """

    poolings: tuple[int, ...]
    steps: tuple[Step, ...]
    scalar: bool = False


def read_head(head: nn.Module, place: str = "head") -> list[Head]:
    """Read the outputs of a task's head, in order.

    Args:
        head: The head that the task passes to `exporters.inference`.
        place: Its name in the module, from which matrix products are named.

    Raises:
        NotCoveredError: The core does not have a step.
    """
    if isinstance(head, JointHead):
        return [*read_head(head.intents, f"{place}.intents"), Head((), (Product(_linear(head.slots), is_last=True),))]
    if isinstance(head, PooledHead):
        dense = (
            ()
            if isinstance(head.pooler, nn.Identity)
            else (Product(_linear(head.pooler), head.activation, name=f"{place}.pooler"),)
        )
        return [Head((0,), (*dense, Product(_linear(head.classifier), is_last=True)))]
    if isinstance(head, TokenHead):
        return [Head((), (Product(_linear(head.classifier), is_last=True),))]
    if isinstance(head, SpanHead):
        return [Head((), (Product(part, is_last=True),), scalar=True) for part in _columns(_linear(head.linear))]
    if isinstance(head, VocabularyHead):
        return [Head((), _vocabulary(head.layers, f"{place}.layers"))]
    if isinstance(head, EmbeddingHead):
        poolings = tuple(POOLINGS.index(name) for name in head.pooling.split("+"))
        steps = [] if head.vector_modules is None else list(_vectors(head.vector_modules))
        return [Head(poolings, (*steps, *([Plain((UNIT,))] if head.normalize else [])))]
    raise NotCoveredError(f"it does not have the head {type(head).__name__}")


def _linear(module: nn.Module) -> nn.Linear:
    if not isinstance(module, nn.Linear):
        raise NotCoveredError(f"it does not have {type(module).__name__} in a head")
    return module


def _columns(linear: nn.Linear) -> Iterator[nn.Linear]:
    """Split a linear layer into one layer for each output."""
    for at in range(linear.out_features):
        part = nn.Linear(linear.in_features, 1)
        with torch.no_grad():
            part.weight.copy_(linear.weight[at : at + 1])
            part.bias.copy_(linear.bias[at : at + 1])
        yield part


def _vocabulary(layers: nn.Module, place: str) -> tuple[Step, ...]:
    """Masked-language head: dense layer, activation, norm, scores of all tokens; families differ only in names."""
    names = [name for name, module in layers.named_modules() if isinstance(module, nn.Linear)]
    linears = [module for module in layers.modules() if isinstance(module, nn.Linear)]
    norms = [module for module in layers.modules() if isinstance(module, nn.LayerNorm)]
    if len(linears) != 2 or len(norms) != 1:
        raise NotCoveredError("it does not have this form of a head for masked language modelling")
    dense, scores = linears
    found = [getattr(module, name, None) for module in layers.modules() for name in ("transform_act_fn", "activation")]
    named = next((each for each in found if callable(each)), None)
    listed = [module for module in layers.children() if type(module).__module__ == "transformers.activations"]
    return (
        Product(dense, named or (listed[0] if listed else nn.functional.gelu), name=f"{place}.{names[0]}"),
        Normed(norms[0]),
        Product(scores, is_last=True, name=f"{place}.{names[1]}"),
    )


def _vectors(modules: VectorModules) -> Iterator[Step]:
    """Modules after the pooling of a sentence-transformers folder."""
    part: Any
    for part in modules.parts:
        kind = type(part).__name__
        if kind == "_Dense" and not part.adds_input:
            yield Product(part.linear, part.activation, is_last=True)
        elif kind == "_LayerNorm":
            yield Normed(part.norm)
        elif kind == "_Normalize":
            yield Plain((UNIT,))
        elif kind == "_Truncate":
            yield Plain((CUT, part.width))
        else:
            raise NotCoveredError("it does not have Dense modules that add their input")
