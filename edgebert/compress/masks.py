"""Masks over attention heads and feed-forward neurons, applied without touching a weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgebert.compress import arch


@dataclass(frozen=True)
class Masks:
    """One tensor per layer, 1 to keep. *Shape*: heads (rows, heads), ffn (rows, neurons), rows 1 or the batch."""

    heads: list[Tensor]
    ffn: list[Tensor]


def ones(model: nn.Module, rows: int = 1, requires_grad: bool = False) -> Masks:
    """Masks that keep everything."""
    shapes = arch.layer_shapes(model)
    return Masks(
        [torch.ones(rows, shape.heads, requires_grad=requires_grad) for shape in shapes],
        [torch.ones(rows, shape.ffn, requires_grad=requires_grad) for shape in shapes],
    )


@contextmanager
def masked(model: nn.Module, masks: Masks) -> Iterator[None]:
    """Multiply every head's and every neuron's output by its mask while the block runs."""
    hooks = []
    for layer, heads, ffn in zip(arch.encoder_layers(model), masks.heads, masks.ffn, strict=True):
        parts = arch.layer_parts(layer)
        wide = heads.repeat_interleave(parts.attention.attention_head_size, dim=1)
        hooks.append(parts.attention_output.register_forward_pre_hook(_multiplier(wide)))
        hooks.append(parts.ffn_out.register_forward_pre_hook(_multiplier(ffn)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _multiplier(mask: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], tuple[Tensor]]:
    def multiply(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
        return (inputs[0] * mask[:, None, :],)

    return multiply
