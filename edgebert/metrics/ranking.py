"""Metrics over the documents of a query, in numpy; tests compare them with scikit-learn and with counts by hand.

A row of the table is a query: its metric, and whether the gains of its documents differ (if not, every order is equally
good). Documents with equal scores have no order, so the metric is averaged over all their orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from edgebert.metrics.scores import Metric, Table

# A document's query, and its gain: 0 if it does not answer it.
Judged = tuple[str, float]
Numbers = NDArray[np.float64]
# Maps gains and scores of a query's documents to a metric.
OfQuery = Callable[[Numbers, Numbers], float]

FIRST = 10


def ndcg(gains: Numbers, scores: Numbers) -> float:
    """Discounted gain of the first ten documents, divided by that of the best order; 0 if no document has a gain.

    Jarvelin and Kekalainen 2002, with linear gain as in trec_eval and scikit-learn; mean over ties as in McSherry and
    Najork 2008. *Shape* of both: (documents,).
    """
    discounts = np.zeros(len(gains))
    discounts[:FIRST] = 1.0 / np.log2(np.arange(len(gains))[:FIRST] + 2.0)
    best = float(np.sort(gains)[::-1] @ discounts)
    if not best:
        return 0.0
    _, tie, sizes = np.unique(-scores, return_inverse=True, return_counts=True)
    means = np.bincount(tie, weights=gains) / sizes
    return float(np.repeat(means, sizes) @ discounts) / best


def reciprocal_rank(gains: Numbers, scores: Numbers) -> float:
    """1 / the rank of the first document with a gain; 0 if it is not among the first ten. *Shape*: (documents,)."""
    relevant = gains > 0
    if not relevant.any():
        return 0.0
    first = scores[relevant].max()
    above, tied = int((scores > first).sum()), scores == first
    size, right = int(tied.sum()), int(relevant[tied].sum())
    ways = comb(size, right)
    # Among all orders of documents with equal scores: the share in which the first relevant one has this rank.
    return sum(
        comb(size - at - 1, right - 1) / ways / (above + at + 1) for at in range(size - right + 1) if above + at < FIRST
    )


def _over_queries(figure: OfQuery) -> Callable[[Sequence[Judged], Sequence[float]], Table]:
    def table(expected: Sequence[Judged], predicted: Sequence[float]) -> Table:
        """Metric of every query, and whether the gains of its documents differ. *Shape*: (queries, 2)."""
        found: dict[str, list[tuple[float, float]]] = {}
        for (query, gain), score in zip(expected, predicted, strict=True):
            found.setdefault(query, []).append((gain, score))
        rows = []
        for documents in found.values():
            gains, scores = np.array(documents, dtype=np.float64).T
            rows.append((figure(gains, scores), float(np.ptp(gains) > 0)))
        return np.array(rows, dtype=np.float64)

    return table


def _mean(table: Table) -> float:
    return float(table[:, 0].mean())


def _lacks_choice(table: Table) -> str:
    return "" if table[:, 1].any() else "a query with documents of different grades"


NDCG = Metric(_over_queries(ndcg), _mean, lacks=_lacks_choice)
MRR = Metric(_over_queries(reciprocal_rank), _mean, lacks=_lacks_choice)
