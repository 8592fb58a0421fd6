"""Whether contenders answer alike: the check before anything is timed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.peers.suite import Suite

Answers = NDArray[np.float64]


@dataclass(frozen=True)
class Agreement:
    """How far answers are from the reference's.

    Attributes:
        n: Texts.
        equal: Texts of equal label; of embeddings, those whose cosine rounds to 1.000.
        share: Share of equal labels; of embeddings, their mean cosine.
        largest_difference: Of any probability, or any number of an embedding.
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
        answers: The same of another contender.
    """
    largest = float(np.abs(reference - answers).max())
    if task == "similarity":
        cosines = (reference * answers).sum(axis=1)
        return Agreement(len(answers), int((cosines > 0.9995).sum()), float(cosines.mean()), largest)
    same = reference.argmax(axis=1) == answers.argmax(axis=1)
    return Agreement(len(answers), int(same.sum()), float(same.mean()), largest)


def refusal(precision: str, agreement: Agreement, suite: Suite) -> str | None:
    """Why a contender may not be timed, or None."""
    # A difference that is not a number is not within any limit.
    if precision == "fp32" and not agreement.largest_difference <= suite.largest_difference:
        found, most = agreement.largest_difference, suite.largest_difference
        return f"FP32 answers differ by {found:.2g}; at most {most:g} is allowed"
    if precision != "fp32" and not agreement.share >= suite.least_agreement:
        found, least = agreement.share, suite.least_agreement
        return f"{precision.upper()} answers agree to {found:.4f}; at least {least:g} is asked for"
    return None


def predictions(task: str, answers: Answers) -> Sequence[float]:
    """What the task's metrics compare: numbers of labels; or cosines of pairs, whose texts come one after the other."""
    if task == "similarity":
        return [float(value) for value in (answers[0::2] * answers[1::2]).sum(axis=1)]
    return [int(value) for value in answers.argmax(axis=1)]
