"""Metrics for texts with any number of labels, in numpy; tests compare them with scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebert.metrics.scores import Chosen, Metric, Table, aligned


def _by_label(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> Table:
    """For every label: whether it was predicted correctly, and how often it was expected or predicted."""
    right, given = aligned(expected, predicted)
    return np.hstack([right & given, right.astype(np.float64) + given])


def _over_labels(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> Table:
    """The same counts, summed over the labels. *Shape*: (texts, 2)."""
    found, total = np.hsplit(_by_label(expected, predicted), 2)
    return np.column_stack([found.sum(1), total.sum(1)])


def _f1(table: Table) -> float:
    """Mean F1 of the labels; one that is neither expected nor predicted is left out."""
    found, total = np.split(table.sum(0), 2)
    occurs = total > 0
    return float(np.mean(2 * found[occurs] / total[occurs])) if occurs.any() else 0.0


def _all_right(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> Table:
    """Whether a text has exactly the correct labels. *Shape*: (texts, 1)."""
    right, given = aligned(expected, predicted)
    return np.column_stack([(right == given).all(1)]).astype(np.float64)


def _mean(table: Table) -> float:
    return float(table.mean())


def _lacks_labels(table: Table) -> str:
    return "" if table.any() else "a label"


CHOSEN_METRICS: dict[str, Metric] = {
    "micro_f1": Metric(_over_labels, _f1, lacks=_lacks_labels),
    "macro_f1": Metric(_by_label, _f1, lacks=_lacks_labels),
    "accuracy": Metric(_all_right, _mean, right=0),
}
