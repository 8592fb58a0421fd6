"""Quality on the device: predicted labels against expected ones, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import DataError
from edgebert.examples import Example

RESAMPLES = 1000
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Quality:
    """A metric's value over `n` texts, and its 95% interval from resampled texts (seeded)."""

    metric: str
    value: float
    n: int
    ci_low: float
    ci_high: float

    def as_dict(self) -> dict[str, Any]:
        """Plain dictionary, rounded to what the figures are good for."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def measure_quality(metric: str, expected: Labels, predicted: Labels) -> Quality:
    """Score predictions.

    *Shape* of both: (texts,). `f1` takes label 1 as the positive class. The interval is the percentile bootstrap's
    (Efron 1979) over 1,000 resamples of the texts.
    """
    random = np.random.default_rng(0)
    draws = [
        score(metric, expected[chosen], predicted[chosen])
        for chosen in random.integers(0, len(expected), size=(RESAMPLES, len(expected)))
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Quality(metric, score(metric, expected, predicted), len(expected), float(low), float(high))


def score(metric: str, expected: Labels, predicted: Labels) -> float:
    """Accuracy, F1 of label 1, or the mean F1 over the labels that occur.

    Raises:
        ValueError: The metric is not known.
    """
    if metric == "accuracy":
        return float((expected == predicted).mean())
    if metric == "f1":
        return _f1(expected == 1, predicted == 1)
    if metric == "macro_f1":
        labels = np.union1d(expected, predicted)
        return float(np.mean([_f1(expected == label, predicted == label) for label in labels]))
    raise ValueError(f"unknown metric {metric!r}; known: accuracy, f1, macro_f1")


def label_numbers(examples: Sequence[Example], manifest: dict[str, Any], source: str) -> Labels:
    """Numbers of the expected labels, given as the training data wrote them or as the bundle names them.

    Raises:
        DataError: A label that the bundle does not know; the message names file, line and value.
    """
    numbers = {name: index for index, name in enumerate(manifest["labels"])}
    numbers |= {value: index for index, value in enumerate(manifest["data"].get("label_values", []))}
    for example in examples:
        if example.label not in numbers:
            known = ", ".join(manifest["labels"][:8])
            raise DataError(f"{source}: line {example.line}: unknown label {example.label!r}; expected one of: {known}")
    return np.array([numbers[str(example.label)] for example in examples])


def _f1(expected: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    found = int((expected & predicted).sum())
    total = int(expected.sum()) + int(predicted.sum())
    return 2 * found / total if total else 0.0
