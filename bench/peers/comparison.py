"""Check that contenders give the same answers, before the measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.peers.suite import Suite

Answers = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How much answers differ from those of the reference.

    Attributes:
        n: Number of texts.
        equal: Number of texts with the same label; for embeddings, those whose cosine rounds to 1.000.
        share: Share of texts with the same label; for embeddings, their mean cosine.
        largest_difference: Largest difference of a probability, or of a number in an embedding.
    """

    n: int
    equal: int
    share: float
    largest_difference: float


def compare(task: str, reference: Answers, answers: Answers) -> Agreement:
    """Compare answers to the same texts.

    Args:
        task: `text-classification` or `similarity`.
        reference: *Shape*: (texts, labels), probabilities; or (texts, width), vectors of length 1.
        answers: The answers of another contender, in the same form.
    """
    largest = float(np.abs(reference - answers).max())
    if task == "similarity":
        cosines = (reference * answers).sum(axis=1)
        return Agreement(len(answers), int((cosines > 0.9995).sum()), float(cosines.mean()), largest)
    same = reference.argmax(axis=1) == answers.argmax(axis=1)
    return Agreement(len(answers), int(same.sum()), float(same.mean()), largest)


def refusal(precision: str, agreement: Agreement, suite: Suite) -> str | None:
    """Return the reason why a contender must not be measured, or None."""
    # Written so that a difference of NaN exceeds every limit.
    if precision == "fp32" and not agreement.largest_difference <= suite.largest_difference:
        found, most = agreement.largest_difference, suite.largest_difference
        return f"FP32 answers differ by {found:.2g}; at most {most:g} is allowed"
    if precision != "fp32" and not agreement.share >= suite.least_agreement:
        found, least = agreement.share, suite.least_agreement
        return f"{precision.upper()} answers agree to {found:.4f}; at least {least:g} is asked for"
    return None


def predictions(task: str, answers: Answers) -> Sequence[float]:
    """Convert answers to what the task's metrics compare: label numbers, or cosines of pairs (adjacent texts)."""
    if task == "similarity":
        return [float(value) for value in (answers[0::2] * answers[1::2]).sum(axis=1)]
    return [int(value) for value in answers.argmax(axis=1)]
