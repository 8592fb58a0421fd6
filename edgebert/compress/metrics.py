"""Quality metrics during compression, from scikit-learn."""

from __future__ import annotations

from typing import Any

from sklearn.metrics import accuracy_score, f1_score


def score(metric: str, expected: Any, predicted: Any) -> float:  # noqa: ANN401
    """Metric of predicted label numbers; `f1` takes label 1 as the positive class.

    *Shape* of both: (texts,), integers.

    Raises:
        ValueError: The metric is not known.
    """
    if metric == "accuracy":
        return float(accuracy_score(expected, predicted))
    if metric == "f1":
        return float(f1_score(expected, predicted))
    if metric == "macro_f1":
        return float(f1_score(expected, predicted, average="macro"))
    raise ValueError(f"unknown metric {metric!r}; known: accuracy, f1, macro_f1")
