"""Arithmetic for short rows of numbers in plain Python: a fresh process answers before numpy would be imported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Python sums this many bytes of float32 in half a millisecond; models with more outputs run far longer.
SHORT_BYTES = 1 << 16


def numbers_of(output: NDArray[np.float32] | memoryview[float]) -> list[float]:
    """The numbers of an output with one row."""
    numbers: Any = output.tolist()
    return list(numbers)


def is_finite(output: NDArray[np.float32] | memoryview[float]) -> bool:
    """Whether a session's output has neither NaN nor infinity."""
    if isinstance(output, memoryview) and output.nbytes <= SHORT_BYTES:
        # A double holds every sum of this few float32 numbers exactly enough.
        return math.isfinite(sum(output.cast("B").cast("f").tolist()))
    import numpy as np

    return bool(np.isfinite(output).all())


def argmax(row: Sequence[float]) -> int:
    """Position of the largest number; the first one if several are equal."""
    return row.index(max(row))


def softmax(logits: Sequence[float]) -> list[float]:
    """Exponentials that sum to 1."""
    most = max(logits)
    exponentials = [math.exp(logit - most) for logit in logits]
    total = sum(exponentials)
    return [each / total for each in exponentials]


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)) without overflow, also exact for very small results."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    exponential = math.exp(logit)
    return exponential / (1.0 + exponential)


def log_sum(logits: Sequence[float]) -> float:
    """Logarithm of the sum of exponentials."""
    most = max(logits)
    return most + math.log(sum(math.exp(logit - most) for logit in logits))


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    """Sum of products."""
    total: float = sum(map(mul, left, right))
    return total
