"""Metrics on the device equal those of scikit-learn and scipy: ties, constant inputs, many classes."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgebert.metrics.scores import ACCURACY, F1, MACRO_F1, MATTHEWS, PEARSON, SPEARMAN, Metric

CLASSES = {"accuracy": ACCURACY, "f1": F1, "macro_f1": MACRO_F1, "matthews": MATTHEWS}
NUMBERS = {"pearson": PEARSON, "spearman": SPEARMAN}


def figure(metric: Metric, expected: Any, predicted: Any) -> float:
    return metric.figure(metric.table(list(expected), list(predicted)))


@pytest.fixture(scope="module")
def reference() -> Callable[[str, Any, Any], float]:
    """The metric by scikit-learn or scipy, which are quiet about what they find degenerate."""
    sklearn, scipy = pytest.importorskip("sklearn.metrics"), pytest.importorskip("scipy.stats")
    functions: dict[str, Callable[[Any, Any], Any]] = {
        "accuracy": sklearn.accuracy_score,
        "f1": lambda a, b: sklearn.f1_score(np.asarray(a) == 1, np.asarray(b) == 1, zero_division=0),
        "macro_f1": lambda a, b: sklearn.f1_score(a, b, average="macro", zero_division=0),
        "matthews": sklearn.matthews_corrcoef,
        "pearson": lambda a, b: scipy.pearsonr(a, b).statistic,
        "spearman": lambda a, b: scipy.spearmanr(a, b).statistic,
    }

    def value(name: str, expected: Any, predicted: Any) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(functions[name](expected, predicted))

    return value


def labels(seed: int, classes: int, right: float, count: int = 120) -> tuple[list[int], list[int]]:
    """Expected and predicted labels that agree about as often as `right` says."""
    random = np.random.default_rng(seed)
    expected = random.integers(0, classes, count)
    predicted = np.where(random.random(count) < right, expected, random.integers(0, classes, count))
    return expected.tolist(), predicted.tolist()


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("classes", "right"), [(2, 0.8), (2, 0.0), (5, 0.6), (40, 0.3)])
def test_metrics_of_labels_are_scikit_learns(reference: Any, name: str, seed: int, classes: int, right: float) -> None:
    pair = labels(seed, classes, right)
    assert figure(CLASSES[name], *pair) == pytest.approx(reference(name, *pair), abs=1e-12)


DEGENERATE = {
    "all one label, all right": ([1, 1, 1], [1, 1, 1]),
    "all one label, all wrong": ([1, 1, 1], [0, 0, 0]),
    "label 0 alone": ([0, 0, 0], [0, 0, 0]),
    "expected constant": ([1, 1, 1, 1], [0, 1, 2, 1]),
    "predicted constant": ([0, 1, 2, 1], [1, 1, 1, 1]),
    "a label only predicted": ([0, 0, 2], [0, 0, 1]),
    "the other way round": ([0, 1, 0, 1], [1, 0, 1, 0]),
    "one text": ([3], [3]),
}


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_metrics_of_degenerate_labels_are_scikit_learns(reference: Any, name: str, case: str) -> None:
    found = figure(CLASSES[name], *DEGENERATE[case])
    assert found == pytest.approx(reference(name, *DEGENERATE[case]), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "expected", "predicted", "value"),
    [
        ("accuracy", [0, 1, 1, 0], [0, 1, 0, 0], 0.75),
        ("accuracy", ["a", ("b", "c")], ["a", ("b",)], 0.5),
        ("accuracy", [3], [3], 1.0),
        ("f1", [0, 1, 1, 0], [0, 1, 0, 0], 2 / 3),
        ("f1", [0, 0], [0, 0], 0.0),
        ("macro_f1", [0, 1, 1, 0], [0, 1, 0, 0], (2 / 3 + 4 / 5) / 2),
        ("macro_f1", [0, 0, 2], [0, 0, 1], 1 / 3),
        ("matthews", [0, 1, 1, 0], [0, 1, 0, 0], 1 / 3**0.5),
        ("pearson", [0, 1, 2], [0, 2, 1], 0.5),
        ("spearman", [0.0, 10.0, 10.1], [1, 3, 2], 0.5),
        ("spearman", [0, 1, 2], [-9.0, 0.0, 1e6], 1.0),
    ],
)
def test_metrics_of_a_case_worked_out_by_hand(name: str, expected: Any, predicted: Any, value: float) -> None:
    assert figure((CLASSES | NUMBERS)[name], expected, predicted) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("steps", [0, 3, 26], ids=["no ties", "many ties", "some ties"])
@pytest.mark.parametrize("noise", [0.1, 2.0, -1.0])
def test_metrics_of_numbers_are_scipys(reference: Any, name: str, seed: int, steps: int, noise: float) -> None:
    random = np.random.default_rng(seed)
    expected = random.uniform(0, 5, 150)
    predicted = (expected if noise > 0 else -expected) + abs(noise) * random.normal(size=150)
    if steps:
        expected = np.round(expected * (steps - 1) / 5) * 5 / (steps - 1)
        predicted = np.round(predicted, 1)
        assert len(np.unique(expected)) <= steps
    found = figure(NUMBERS[name], expected, predicted)
    assert found == pytest.approx(reference(name, expected, predicted), abs=1e-12)
    assert abs(found) > 0.2


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_a_correlation_does_not_see_shift_or_scale(name: str, shift: float) -> None:
    expected, predicted = [0.5, 1.0, 2.5, 4.0, 4.0], [0.1, 0.9, 0.7, 3.0, 2.0]
    moved = [3 * value + shift for value in predicted]
    assert figure(NUMBERS[name], expected, moved) == pytest.approx(figure(NUMBERS[name], expected, predicted), abs=1e-9)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("constant", [0.0, 2.0, 0.1, 2.4, 1 / 3])
@pytest.mark.parametrize("count", [2, 3, 7, 50])
def test_a_correlation_with_a_constant_is_zero_where_scipy_has_none(
    reference: Any, name: str, constant: float, count: int
) -> None:
    same, other = [constant] * count, np.random.default_rng(1).uniform(0, 5, count).tolist()
    for pair in ((same, other), (other, same), (same, same)):
        assert np.isnan(reference(name, *pair))
        assert figure(NUMBERS[name], *pair) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", CLASSES | NUMBERS)
def test_the_workstation_has_the_same_figure(name: str) -> None:
    from edgebert.compress.metrics import score

    expected, predicted = labels(7, 2 if name == "f1" else 4, 0.7)
    found = figure((CLASSES | NUMBERS)[name], expected, predicted)
    assert score(name, expected, predicted) == pytest.approx(found, abs=1e-12)
    assert 0.2 < found < 1


def test_the_workstation_knows_no_other_metric() -> None:
    from edgebert.compress.metrics import score

    with pytest.raises(ValueError, match="unknown metric 'bleu'"):
        score("bleu", [0], [0])


@pytest.mark.parametrize("name", CLASSES | NUMBERS)
def test_rows_of_the_table_make_the_metric_of_those_texts(name: str) -> None:
    """What the bootstrap relies on."""
    metric = (CLASSES | NUMBERS)[name]
    expected, predicted = labels(11, 3, 0.6)
    rows = np.random.default_rng(0).integers(0, len(expected), len(expected))
    drawn = figure(metric, [expected[at] for at in rows], [predicted[at] for at in rows])
    assert metric.figure(metric.table(expected, predicted)[rows]) == drawn
    assert drawn != figure(metric, expected, predicted)


@pytest.mark.parametrize("name", CLASSES | NUMBERS)
def test_every_text_needs_its_prediction(name: str) -> None:
    with pytest.raises(ValueError, match=r"zip|dimension"):
        figure((CLASSES | NUMBERS)[name], [0, 1, 1], [0, 1])
