"""Dropout on a CPU with masks drawn four elements at a time: there its random numbers are up to 40% of a training step.

PyTorch draws one number an element, on one thread. Sixteen bits are enough: an element is kept where they stand
below the nearest 65,536th of the share to keep, and what is kept is scaled by just that share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

LEVELS = 1 << 16


class QuickDropout(TorchFunctionMode):
    """Within this, `torch.nn.functional.dropout` of a tensor on the CPU is `quick_dropout`."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """Call the function, or what stands in its place."""
        quick = func is functional.dropout and args[0].device.type == "cpu" and not (kwargs or {}).get("inplace")
        return (quick_dropout if quick else func)(*args, **(kwargs or {}))


def quick_dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """`torch.nn.functional.dropout`, its mask drawn from PyTorch's default generator sixteen bits an element.

    Args:
        input: Of any shape.
        p: Share to set to zero, rounded to a 65,536th.
        training: The input itself is returned where this is false, as where p is 0.
        inplace: Only false; whoever asks for more gets PyTorch's own.

    Raises:
        ValueError: A share that is none.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout is {p}; expected a share from 0 to 1")
    kept = round((1 - p) * LEVELS)
    if not training or kept == LEVELS:
        return input
    return input * _mask(input, kept)


def _mask(like: Tensor, kept: int) -> Tensor:
    """0, or the scale that keeps the mean, of every element."""
    bits = torch.empty(-(-like.numel() // 4), dtype=torch.int64).random_(-(1 << 63), None)
    drawn = bits.view(torch.int16)[: like.numel()].view(like.shape)
    return (drawn < kept - LEVELS // 2).to(like.dtype).mul_(LEVELS / kept if kept else 0.0)
