"""The likeliest stretch of a context, from a start and an end logit for every token."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Span:
    """The likeliest stretch of one window of a context, and what speaks for the window holding no answer.

    `start` and `end` are characters of the context. `score` is the sum of the start's and the end's logit, and `null`
    the same of [CLS]. The probabilities are products: softmax of the start logits times softmax of the end logits,
    each over [CLS] and the window's context tokens.
    """

    start: int
    end: int
    score: float
    probability: float
    null: float
    null_probability: float


def window_span(starts: Logits, ends: Logits, offsets: Sequence[tuple[int, int] | None], longest: int) -> Span:
    """Likeliest span of one window.

    Args:
        starts: Start logits of the window's tokens, [CLS] first. *Shape*: (tokens,).
        ends: End logits. *Shape*: (tokens,).
        offsets: Characters of the context that each token stands for, None outside the context.
        longest: Most tokens in a span.
    """
    places = [(at, offset) for at, offset in enumerate(offsets) if offset is not None]
    rows = [0, *(at for at, _ in places)]
    begins, closes = starts[rows].astype(np.float64), ends[rows].astype(np.float64)
    first, last = best_span(begins[1:], closes[1:], longest)
    score, null = float(begins[1 + first] + closes[1 + last]), float(begins[0] + closes[0])
    total = _log_sum(begins) + _log_sum(closes)
    (_, (start, _)), (_, (_, end)) = places[first], places[last]
    return Span(start, end, score, float(np.exp(score - total)), null, float(np.exp(null - total)))


def best_span(starts: Logits, ends: Logits, longest: int) -> tuple[int, int]:
    """First and last token of the span of at most `longest` tokens with the largest sum of start and end.

    Of equal sums the earliest start wins, then the shortest span. *Shape* of both logits: (tokens,).
    """
    width = min(longest, len(ends))
    padded = np.concatenate([ends, np.full(width - 1, -np.inf, dtype=ends.dtype)])
    # Row i: the sums of the spans that start at token i and hold 1, 2, ... `width` tokens.
    sums = starts[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)
    first, more = divmod(int(sums.argmax()), width)
    return first, first + more


def whole_characters(context: str, start: int, end: int) -> str:
    """Stretch of a context, with the accents that follow its last letter: BERT's tokens leave them out."""
    while end < len(context) and unicodedata.category(context[end]).startswith("M"):
        end += 1
    return context[start:end]


def _log_sum(logits: NDArray[np.float64]) -> float:
    """Logarithm of the sum of exponentials."""
    most = logits.max()
    return float(most + np.log(np.exp(logits - most).sum()))
