"""The most likely span of a context, from a start and an end logit for every token."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from edgebert.runtime.plain_math import argmax, log_sum


@dataclass(frozen=True)
class Span:
    """The most likely span of one window of a context, and scores for the window having no answer.

    `start` and `end` are characters of the context. `score` is the sum of the start's and the end's logit, and `null`
    is the same sum for [CLS]. The probabilities are the product of two softmaxes, of start logits and of end logits,
    each over [CLS] and the window's context tokens.
    """

    start: int
    end: int
    score: float
    probability: float
    null: float
    null_probability: float


def window_span(
    starts: Sequence[float], ends: Sequence[float], offsets: Sequence[tuple[int, int] | None], longest: int
) -> Span:
    """Most likely span of one window.

    Args:
        starts: Start logits of the window's tokens, [CLS] first. *Shape*: (tokens,).
        ends: End logits. *Shape*: (tokens,).
        offsets: Character range of each token in the context; None outside the context.
        longest: Maximum number of tokens in a span.
    """
    places = [(at, offset) for at, offset in enumerate(offsets) if offset is not None]
    rows = [0, *(at for at, _ in places)]
    begins, closes = [starts[row] for row in rows], [ends[row] for row in rows]
    first, last = best_span(begins[1:], closes[1:], longest)
    score, null = begins[1 + first] + closes[1 + last], begins[0] + closes[0]
    total = log_sum(begins) + log_sum(closes)
    (_, (start, _)), (_, (_, end)) = places[first], places[last]
    return Span(start, end, score, exp(score - total), null, exp(null - total))


def best_span(starts: Sequence[float], ends: Sequence[float], longest: int) -> tuple[int, int]:
    """First and last token of the span with the largest sum of start and end logit, at most `longest` tokens.

    If sums are equal, the earliest start wins, then the shortest span. *Shape* of both logits: (tokens,).
    """
    first = argmax([start + max(ends[at : at + longest]) for at, start in enumerate(starts)])
    return first, first + argmax([starts[first] + end for end in ends[first : first + longest]])


def whole_characters(context: str, start: int, end: int) -> str:
    """Extend a character range by the accents after its last letter: BERT's tokens leave them out."""
    while end < len(context) and unicodedata.category(context[end]).startswith("M"):
        end += 1
    return context[start:end]
