"""The most likely span of a window equals that of an exhaustive search, with its probability and characters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from edgebert.runtime.spans import best_span, whole_characters, window_span

Offsets = Sequence[tuple[int, int] | None]


def by_trying(starts: Any, ends: Any, longest: int) -> tuple[int, int]:
    """The first span with the largest sum, ordered by start, then by length."""
    best, found = -np.inf, (-1, -1)
    for first in range(len(starts)):
        for last in range(first, min(first + longest, len(ends))):
            if starts[first] + ends[last] > best:
                best, found = starts[first] + ends[last], (first, last)
    return found


@pytest.mark.parametrize("tokens", [1, 2, 7, 40, 150])
@pytest.mark.parametrize("longest", [1, 2, 5, 30, 500])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_span_is_that_of_trying_them_all(tokens: int, longest: int, seed: int) -> None:
    starts, ends = np.random.default_rng(seed).normal(size=(2, tokens)).astype(np.float32)
    assert best_span(starts.tolist(), ends.tolist(), longest) == by_trying(starts, ends, longest)


@pytest.mark.parametrize("longest", [1, 3, 30])
def test_of_equal_spans_the_earliest_and_then_the_shortest_is_taken(longest: int) -> None:
    assert best_span([0.0] * 9, [0.0] * 9, longest) == (0, 0)
    starts, ends = np.random.default_rng(5).integers(0, 3, size=(2, 60)).astype(np.float32)
    assert best_span(starts.tolist(), ends.tolist(), longest) == by_trying(starts, ends, longest)


def test_an_end_before_the_start_or_too_far_behind_it_is_no_span() -> None:
    starts, ends = [0.0] * 8, [0.0] * 8
    starts[5], ends[1], ends[7] = 9, 8, 5
    assert best_span(starts, ends, 3) == (5, 7)
    assert best_span(starts, ends, 2) == (5, 5)
    starts[5] = 2
    assert best_span(starts, ends, 8) == (0, 1)


def window(context_tokens: int, seed: int) -> tuple[Any, Any, Offsets]:
    """Logits of [CLS], two question tokens, [SEP], the context, [SEP]; the largest are outside the context."""
    starts, ends = np.random.default_rng(seed).normal(size=(2, context_tokens + 5)).astype(np.float32)
    for logits in (starts, ends):
        logits[[1, 2, 3, -1]] = 50.0
    offsets = [None] * 4 + [(10 * at, 10 * at + 7) for at in range(context_tokens)] + [None]
    return starts, ends, offsets


@pytest.mark.parametrize("context_tokens", [1, 6, 90])
@pytest.mark.parametrize("seed", range(3))
def test_a_span_stays_in_the_context_and_knows_its_characters(context_tokens: int, seed: int) -> None:
    starts, ends, offsets = window(context_tokens, seed)
    span = window_span(starts.tolist(), ends.tolist(), offsets, 10)
    inside = slice(4, 4 + context_tokens)
    first, last = by_trying(starts[inside], ends[inside], 10)
    assert (span.start, span.end) == (10 * first, 10 * last + 7)
    assert span.score == pytest.approx(float(starts[inside][first]) + float(ends[inside][last]), abs=1e-12)
    assert span.null == pytest.approx(float(starts[0]) + float(ends[0]), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_probabilities_are_those_of_start_and_end_over_cls_and_context(shift: float) -> None:
    starts, ends, offsets = window(6, 1)
    span = window_span((starts + np.float32(shift)).tolist(), ends.tolist(), offsets, 1)
    rows = [0, 4, 5, 6, 7, 8, 9]
    start = np.exp(starts[rows].astype(float)) / np.exp(starts[rows].astype(float)).sum()
    end = np.exp(ends[rows].astype(float)) / np.exp(ends[rows].astype(float)).sum()
    # float32 keeps four digits behind the point at a thousand.
    assert span.probability == pytest.approx((start[1:] * end[1:]).max(), rel=1e-3 if shift else 1e-9)
    assert span.null_probability == pytest.approx(start[0] * end[0], rel=1e-3 if shift else 1e-9)


@pytest.mark.parametrize(
    ("context", "end", "expected"),
    [
        ("cafe\u0301 au", 4, "cafe\u0301"),
        ("cafe\u0301\u0323", 4, "cafe\u0301\u0323"),
        ("👍\ufe0f up", 1, "👍\ufe0f"),
        ("café au", 4, "café"),
        ("cafe au", 4, "cafe"),
        ("cafe", 4, "cafe"),
    ],
)
def test_accents_behind_the_last_letter_belong_to_it(context: str, end: int, expected: str) -> None:
    assert whole_characters(context, 0, end) == expected
