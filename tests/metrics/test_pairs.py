"""McNemar's exact test compared with manual results and scipy, and paired differences of metrics."""

from math import comb
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from edgebert.metrics.entities import ENTITY_METRICS, FRAME_METRICS
from edgebert.metrics.pairs import Difference, Pair, difference_of, mcnemar, pair_of
from edgebert.metrics.scores import ACCURACY, MATTHEWS, Table
from edgebert.runtime.quality import metric_of
from edgebert.tasks.table import spec_of, task_names


@pytest.mark.parametrize(
    ("only_first", "only_second", "p_value"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (0, 6, 2 / 64),
        (10, 2, 2 * (1 + 12 + 66) / 4096),
        (3, 3, 1.0),
        (4, 3, 1.0),
        (8, 3, 2 * (1 + 11 + 55 + 165) / 2048),
    ],
)
def test_mcnemar_is_the_hand_computed_value_either_way(only_first: int, only_second: int, p_value: float) -> None:
    assert mcnemar(only_first, only_second) == pytest.approx(p_value, rel=1e-12)
    assert mcnemar(only_second, only_first) == mcnemar(only_first, only_second)


@pytest.mark.parametrize(
    ("only_first", "only_second"), [(7, 19), (120, 90), (1500, 1400), (9000, 8000), (150_000, 149_000)]
)
def test_mcnemar_is_the_binomial_test(only_first: int, only_second: int) -> None:
    expected = binomtest(only_first, only_first + only_second).pvalue
    assert mcnemar(only_first, only_second) == pytest.approx(expected, rel=1e-9)


def rights(*values: int) -> Table:
    return np.array(values, dtype=np.float64)[:, None]


def test_a_pair_counts_the_texts_that_only_one_gets_right() -> None:
    pair = pair_of("a", ACCURACY, rights(1, 1, 0, 0, 1, 1), rights(1, 0, 0, 1, 0, 0))
    assert pair == Pair("a", 3, 1, 2 * (1 + comb(4, 1)) / 16, 6)


def test_a_metric_that_is_no_share_of_right_texts_has_no_pair() -> None:
    table = np.array([[0, 0], [1, 1]], dtype=np.float64)
    assert pair_of("m", MATTHEWS, table, table) is None
    frames = np.array([[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=np.float64)
    assert pair_of("f", FRAME_METRICS["intent_slots"], frames, frames) is None
    whole = pair_of("f", FRAME_METRICS["exact_match"], frames, frames[::-1])
    intent = pair_of("f", FRAME_METRICS["intent_accuracy"], frames, frames[::-1])
    assert whole is not None
    assert intent is not None
    assert (whole.only_first, whole.only_second) == (1, 1)
    assert (intent.only_first, intent.only_second) == (0, 0)


SHARES = {
    *(("text-classification", "accuracy"), ("multi-label", "accuracy"), ("question-answering", "exact_match")),
    *(("intent-slots", "intent_accuracy"), ("intent-slots", "exact_match")),
}


def test_these_metrics_are_shares_of_right_texts() -> None:
    found = {
        (task, name)
        for task in task_names()
        for name, metric in spec_of(task).metrics.items()
        if metric.right is not None
    }
    assert found == SHARES


@pytest.mark.parametrize(
    ("task", "name", "expected", "predicted"),
    [
        ("text-classification", "accuracy", [0, 1, 2, 1], [0, 1, 1, 1]),
        ("multi-label", "accuracy", [np.array([True, False])] * 4, [np.array([True, at == 0]) for at in range(4)]),
        ("question-answering", "exact_match", [("a b",), (), ("x",), ("y",)], ["a b", "no", "X.", "y"]),
        ("intent-slots", "exact_match", [("i", ("O",))] * 4, [("i", ("O",))] * 3 + [("i", ("B-x",))]),
        ("intent-slots", "intent_accuracy", [("i", ("O",))] * 4, [("i", ("B-x",))] * 3 + [("j", ("O",))]),
    ],
)
def test_the_column_of_right_texts_has_the_metric_as_its_mean(
    task: str, name: str, expected: list[Any], predicted: list[Any]
) -> None:
    metric = metric_of(task, name)
    table = metric.table(expected, predicted)
    assert set(table[:, metric.right]) == {0.0, 1.0}
    assert table[:, metric.right].mean() == metric.figure(table) == 0.75


def test_two_equal_variants_do_not_differ() -> None:
    table = rights(*[1] * 80, *[0] * 20)
    assert difference_of("a", ACCURACY, table, table) == Difference("a", 0.0, None, None, 100)


def test_a_difference_is_the_second_less_the_first_and_is_paired() -> None:
    first = rights(*[1] * 360, *[0] * 40)
    second = rights(*[0] * 8, *[1] * 352, *[0] * 40)
    difference = difference_of("a", ACCURACY, first, second)
    assert difference.value == pytest.approx(-0.02)
    # The texts that differ are 8 of 400: a standard deviation of sqrt(0.02 * 0.98 / 400), where two accuracies that
    # were drawn apart would have that of sqrt(0.09 / 400 + 0.1056 / 400), three times as wide.
    assert difference.ci_low == pytest.approx(-0.02 - 1.96 * 0.007, abs=0.003)
    assert difference.ci_high == pytest.approx(-0.02 + 1.96 * 0.007, abs=0.003)


def test_a_difference_of_any_metric_has_an_interval_and_a_seed() -> None:
    random = np.random.default_rng(1)
    expected = random.integers(0, 2, 300)
    tables = [
        np.column_stack([expected, np.where(random.random(300) < share, expected, 1 - expected)])
        for share in (0.9, 0.7)
    ]
    difference = difference_of("m", MATTHEWS, *tables, seed=3)
    assert difference.value == MATTHEWS.figure(tables[1]) - MATTHEWS.figure(tables[0])
    assert difference.ci_low < difference.value < difference.ci_high < 0
    assert difference_of("m", MATTHEWS, *tables, seed=3) == difference
    assert difference_of("m", MATTHEWS, *tables, seed=4) != difference


def test_a_difference_is_over_the_resamples_that_say_something_of_both() -> None:
    expected = [("B-A",), ("B-A",), *[("O",)] * 10]
    right = ENTITY_METRICS["entity_f1"].table(expected, expected)
    wrong = ENTITY_METRICS["entity_f1"].table(expected, [("B-B",), *expected[1:]])
    difference = difference_of("a", ENTITY_METRICS["entity_f1"], right, wrong)
    assert (difference.value, difference.ci_low, difference.ci_high) == (-0.5, -1.0, 0.0)
