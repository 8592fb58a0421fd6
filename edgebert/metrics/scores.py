"""The field's metrics in numpy, for the device; tests compare them with scikit-learn, scipy and seqeval.

A metric is two functions: one makes a table with one row of numbers per text, the other computes the metric from a
table. Resampling the rows gives the metric's interval without reading a text twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Table = NDArray[np.float64]
Chosen = NDArray[np.bool_]
Right = TypeVar("Right")
Given = TypeVar("Given")

# Name of the method in a result; docs/explanation/intervals.md has its coverage.
TEXTS_METHOD = "percentile bootstrap over texts"
MIN_TEXTS = 10


@dataclass(frozen=True)
class Metric:
    """`table(expected, predicted)` has the *Shape* (texts, numbers); `figure(table)` is the metric of those texts.

    `right` is the column that marks correct texts (1 or 0), if the metric is their share. `labels` is the number of
    labels that the metric supports; None means any. `lacks` names what a table lacks if the metric is undefined for it;
    "" if it is defined.
    """

    table: Callable[[Sequence[Any], Sequence[Any]], Table]
    figure: Callable[[Table], float]
    right: int | None = None
    labels: int | None = None
    lacks: Callable[[Table], str] = lambda table: ""


def interval_of(draws: Sequence[float], texts: int) -> tuple[float | None, float | None]:
    """95% interval of a metric from its values on resampled texts (Efron 1979).

    Returns:
        Low and high. None for fewer than ten texts, and if all resamples give the same value: if all answers are
        correct, the texts do not show how rare errors are.
    """
    if texts < MIN_TEXTS or not draws or min(draws) == max(draws):
        return None, None
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def aligned(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> tuple[Chosen, Chosen]:
    """Chosen labels of every text as arrays. *Shape*: (texts, labels).

    Labels that the model does not have occur only in `expected` and are never predicted.
    """
    right, given = np.stack(expected), np.stack(predicted)
    return right, np.pad(given, ((0, 0), (0, right.shape[1] - given.shape[1])))


def mean_of(score: Callable[[Right, Given], float], right: int | None = None) -> Metric:
    """Mean of a score of each text's prediction against its correct answer; `right` is as in `Metric`."""

    def table(expected: Sequence[Right], predicted: Sequence[Given]) -> Table:
        return np.array([[score(one, other)] for one, other in zip(expected, predicted, strict=True)])

    return Metric(table, lambda table: float(table.mean()), right)


def _same(expected: Sequence[object], predicted: Sequence[object]) -> Table:
    return np.array([[float(a == b)] for a, b in zip(expected, predicted, strict=True)])


def _mean(table: Table) -> float:
    return float(table[:, 0].mean())


def _columns(expected: Sequence[float], predicted: Sequence[float]) -> Table:
    return np.column_stack([np.asarray(expected, dtype=np.float64), np.asarray(predicted, dtype=np.float64)])


def _f1(table: Table) -> float:
    """F1 of label 1."""
    return _f1_of(table[:, 0] == 1, table[:, 1] == 1)


def _macro_f1(table: Table) -> float:
    labels, numbers = np.unique(table, return_inverse=True)
    numbers = numbers.reshape(table.shape)
    found = np.bincount(numbers[:, 0][numbers[:, 0] == numbers[:, 1]], minlength=len(labels))
    total = np.bincount(numbers.ravel(), minlength=len(labels))
    return float(np.mean(2 * found / total))


def _f1_of(expected: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> float:
    found = int((expected & predicted).sum())
    total = int(expected.sum()) + int(predicted.sum())
    return 2 * found / total if total else 0.0


def _matthews(table: Table) -> float:
    """Matthews' coefficient over any number of labels (Gorodkin 2004)."""
    labels, numbers = np.unique(table, return_inverse=True)
    numbers = numbers.reshape(table.shape)
    expected, predicted = (np.bincount(column, minlength=len(labels)).astype(np.float64) for column in numbers.T)
    right, total = float((numbers[:, 0] == numbers[:, 1]).sum()), float(len(table))
    spread = (total**2 - (predicted**2).sum()) * (total**2 - (expected**2).sum())
    return float((right * total - expected @ predicted) / np.sqrt(spread)) if spread else 0.0


def _pearson(table: Table) -> float:
    if not np.ptp(table, axis=0).all():
        return 0.0
    centred = table - table.mean(0)
    spread = np.sqrt((centred**2).sum(0).prod())
    return float(centred[:, 0] @ centred[:, 1] / spread)


def _spearman(table: Table) -> float:
    return _pearson(np.column_stack([_ranks(table[:, 0]), _ranks(table[:, 1])]))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share their mean rank."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = (ends - (counts - 1) / 2)[group]
    return ranks


def _lacks_two(different: str) -> Callable[[Table], str]:
    """Say that a correlation needs different values."""
    return lambda table: "" if np.ptp(table[:, 0]) else f"two different {different}"


def _lacks_positives(table: Table) -> str:
    """Say that label 1 is missing; if it was predicted nevertheless, F1 is correctly 0."""
    return "" if (table == 1).any() else "a text of the positive label"


ACCURACY = Metric(_same, _mean, right=0)
F1 = Metric(_columns, _f1, labels=2, lacks=_lacks_positives)
MACRO_F1 = Metric(_columns, _macro_f1)
MATTHEWS = Metric(_columns, _matthews, lacks=_lacks_two("labels"))
PEARSON = Metric(_columns, _pearson, lacks=_lacks_two("scores"))
SPEARMAN = Metric(_columns, _spearman, lacks=_lacks_two("scores"))
