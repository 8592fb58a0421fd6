"""Ranking metrics equal scikit-learn's and manual counts: ties, cut-off at ten, queries without a result."""

from itertools import permutations

import numpy as np
import pytest

from edgebert.metrics.ranking import MRR, NDCG, ndcg, reciprocal_rank
from edgebert.runtime.quality import measure_quality

Documents = list[tuple[float, float]]


def figures(*queries: Documents) -> tuple[float, float]:
    """nDCG and MRR of the documents of several queries, each a gain and a score."""
    expected = [(str(number), gain) for number, documents in enumerate(queries) for gain, _ in documents]
    predicted = [score for documents in queries for _, score in documents]
    values = [metric.figure(metric.table(expected, predicted)) for metric in (NDCG, MRR)]
    return values[0], values[1]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("grades", [2, 4])
@pytest.mark.parametrize("steps", [3, 1000], ids=["ties", "apart"])
def test_ndcg_is_scikit_learns(seed: int, grades: int, steps: int) -> None:
    reference = pytest.importorskip("sklearn.metrics").ndcg_score
    random = np.random.default_rng(seed)
    queries, theirs = [], []
    for count in (2, 3, 9, 10, 11, 40):
        gains = random.integers(0, grades, count).astype(float)
        scores = random.integers(0, steps, count) / steps
        queries.append(list(zip(gains.tolist(), scores.tolist(), strict=True)))
        theirs.append(reference([gains], [scores], k=10))
    assert figures(*queries)[0] == pytest.approx(np.mean(theirs), abs=1e-12)


def by_counting(gains: list[float], scores: list[float]) -> float:
    """Mean over every order that the scores allow of 1 / the first relevant document's place, to the tenth."""
    orders = [order for order in permutations(range(len(gains))) if _sorted([scores[at] for at in order])]
    found = [next((place for place, at in enumerate(order, 1) if gains[at] > 0), 11) for order in orders]
    return sum(1 / place for place in found if place <= 10) / len(orders)


def _sorted(scores: list[float]) -> bool:
    return scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("seed", range(8))
def test_the_reciprocal_rank_of_ties_is_the_mean_of_all_orders(seed: int) -> None:
    random = np.random.default_rng(seed)
    gains, scores = random.integers(0, 2, 6).astype(float), random.integers(0, 3, 6).astype(float)
    assert reciprocal_rank(gains, scores) == pytest.approx(by_counting(gains.tolist(), scores.tolist()), abs=1e-12)


def test_figures_by_hand() -> None:
    best, third, last = (
        [(1.0, 0.9), (0.0, 0.5)],
        [(0.0, 3.0), (0.0, 2.0), (1.0, 1.0)],
        [(0.0, 0.0)] * 10 + [(1.0, -1.0)],
    )
    assert figures(best) == (1.0, 1.0)
    assert figures(third) == pytest.approx((0.5, 1 / 3))
    assert figures(last) == (0.0, 0.0)
    assert figures(best, third, last) == pytest.approx(((1 + 0.5 + 0) / 3, (1 + 1 / 3 + 0) / 3))
    # A grade of 2 counts twice as much as a grade of 1 at the same rank.
    assert figures([(1.0, 0.9), (2.0, 0.1)])[0] == pytest.approx((1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3)))


def test_one_score_for_all_gives_what_chance_gives_and_not_the_order_of_the_file() -> None:
    first, last = [(1.0, 0.5), *[(0.0, 0.5)] * 3], [*[(0.0, 0.5)] * 3, (1.0, 0.5)]
    assert figures(first) == figures(last)
    assert figures(first)[1] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_a_thousand_documents_of_one_score_are_counted() -> None:
    gains = np.zeros(1000)
    gains[:500] = 1.0
    assert reciprocal_rank(gains, np.zeros(1000)) == pytest.approx(0.6931, abs=1e-3)
    assert ndcg(gains, np.zeros(1000)) == pytest.approx(0.5)


def test_a_query_without_a_relevant_document_counts_as_0_and_many_of_them_say_nothing() -> None:
    nothing, best = [(0.0, 0.9), (0.0, 0.5)], [(1.0, 0.9), (0.0, 0.5)]
    assert figures(nothing, best) == (0.5, 0.5)
    for metric in (NDCG, MRR):
        assert metric.lacks(metric.table([("q", 0.0), ("q", 0.0)], [0.9, 0.5]))
        # If all documents are equally relevant, every order is the best one.
        assert metric.lacks(metric.table([("q", 1.0), ("q", 1.0), ("r", 1.0)], [0.9, 0.5, 0.1]))
        assert not metric.lacks(metric.table([("q", 1.0), ("q", 0.0)], [0.9, 0.5]))


def test_rows_of_a_query_belong_together_in_any_order_and_queries_are_what_is_counted() -> None:
    random = np.random.default_rng(1)
    rows = [((f"q{number % 20}", float(number % 5 == 0)), random.random()) for number in range(100)]
    mixed = [rows[at] for at in random.permutation(100)]
    one, other = (measure_quality("ndcg@10", NDCG, *map(list, zip(*each, strict=True))) for each in (rows, mixed))
    assert one.n == other.n == 20
    assert one.value == pytest.approx(other.value, abs=1e-12)
    assert 0 < one.ci_low < one.value < one.ci_high < 1
