"""Quality metrics during compression, from scikit-learn and scipy."""

from __future__ import annotations

from collections.abc import Sequence


def score(metric: str, expected: Sequence[object], predicted: Sequence[object]) -> float:
    """Score predictions in the form that the task compares, one per text; `f1` takes label 1 as positive.

    Raises:
        ValueError: The metric is not known.
    """
    # Takes two seconds, and an export without training scores nothing by these.
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

    if metric == "accuracy":
        return float(accuracy_score(expected, predicted))
    if metric == "f1":
        # Like average="binary", which refuses labels other than 0 and 1, that is labels that the model does not have.
        return float(f1_score(expected, predicted, labels=[1], average="macro"))
    if metric == "macro_f1":
        return float(f1_score(expected, predicted, average="macro"))
    if metric == "matthews":
        return float(matthews_corrcoef(expected, predicted))
    if metric == "pearson":
        return float(pearsonr(expected, predicted).statistic)
    if metric == "spearman":
        return float(spearmanr(expected, predicted).statistic)
    raise ValueError(f"unknown metric {metric!r}")
