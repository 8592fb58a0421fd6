"""Quality metrics against scikit-learn's, their interval, and labels that the bundle does not know."""

import json
from typing import Any

import numpy as np
import pytest

from edgebert.errors import DataError
from edgebert.examples import Example
from edgebert.measure.quality import label_numbers, measure_quality, score


def labels(seed: int, count: int, classes: int, right: float) -> tuple[Any, Any]:
    """Expected and predicted labels that agree about as often as `right` says."""
    random = np.random.default_rng(seed)
    expected = random.integers(0, classes, count)
    predicted = np.where(random.random(count) < right, expected, random.integers(0, classes, count))
    return expected, predicted


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("classes", "right"), [(2, 0.8), (2, 0.0), (5, 0.6), (40, 0.3)])
def test_metrics_are_scikit_learns(seed: int, classes: int, right: float) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    expected, predicted = labels(seed, 120, classes, right)
    assert score("accuracy", expected, predicted) == pytest.approx(metrics.accuracy_score(expected, predicted))
    macro = metrics.f1_score(expected, predicted, average="macro", zero_division=0)
    assert score("macro_f1", expected, predicted) == pytest.approx(macro, abs=1e-12)
    binary = metrics.f1_score(expected == 1, predicted == 1, zero_division=0)
    assert score("f1", expected, predicted) == pytest.approx(binary, abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "expected", "predicted", "value"),
    [
        ("accuracy", [0, 1, 1, 0], [0, 1, 0, 0], 0.75),
        ("f1", [0, 1, 1, 0], [0, 1, 0, 0], 2 / 3),
        ("f1", [0, 0], [0, 0], 0.0),
        ("macro_f1", [0, 1, 1, 0], [0, 1, 0, 0], (2 / 3 + 4 / 5) / 2),
        ("macro_f1", [0, 0, 2], [0, 0, 1], 1 / 3),
        ("accuracy", [3], [3], 1.0),
    ],
)
def test_metrics_of_a_case_worked_out_by_hand(
    metric: str, expected: list[int], predicted: list[int], value: float
) -> None:
    assert score(metric, np.array(expected), np.array(predicted)) == pytest.approx(value, abs=1e-12)


def test_an_unknown_metric_is_told() -> None:
    with pytest.raises(ValueError, match="unknown metric 'bleu'; known: accuracy, f1, macro_f1"):
        score("bleu", np.array([0]), np.array([0]))


@pytest.mark.parametrize("metric", ["accuracy", "f1", "macro_f1"])
def test_the_interval_holds_the_value_and_narrows_with_more_texts(metric: str) -> None:
    small, large = (measure_quality(metric, *labels(1, count, 2, 0.8)) for count in (100, 1600))
    for quality in (small, large):
        assert 0 < quality.ci_low < quality.value < quality.ci_high < 1
    assert (small.n, large.n) == (100, 1600)
    # Four times the root of the texts: four times narrower, give or take the samples' own luck.
    assert 2.5 < (small.ci_high - small.ci_low) / (large.ci_high - large.ci_low) < 6


def test_the_interval_of_an_accuracy_is_the_binomials() -> None:
    expected = np.zeros(400, dtype=np.int64)
    quality = measure_quality("accuracy", expected, np.repeat([0, 1], [320, 80]))
    assert quality.value == 0.8
    assert quality.ci_low == pytest.approx(0.8 - 1.96 * 0.02, abs=0.006)
    assert quality.ci_high == pytest.approx(0.8 + 1.96 * 0.02, abs=0.006)


def test_quality_is_the_same_again_and_plain_json() -> None:
    expected, predicted = labels(3, 90, 3, 0.7)
    quality = measure_quality("macro_f1", expected, predicted)
    assert quality == measure_quality("macro_f1", expected, predicted)
    plain = json.loads(json.dumps(quality.as_dict()))
    assert set(plain) == {"metric", "value", "n", "ci_low", "ci_high"}
    assert plain["value"] == round(quality.value, 6)


MANIFEST = {"labels": ["negative", "positive"], "data": {"label_values": ["0", "1"]}}


def test_labels_may_be_the_bundles_or_the_datas() -> None:
    examples = [Example("x", None, label, 2) for label in ("positive", "0", "1", "negative")]
    assert label_numbers(examples, MANIFEST, "d.tsv").tolist() == [1, 0, 1, 0]
    assert label_numbers(examples[:1], {"labels": ["negative", "positive"], "data": {}}, "d.tsv").tolist() == [1]


@pytest.mark.parametrize(("label", "shown"), [("neutral", "'neutral'"), ("Positive", "'Positive'"), (None, "None")])
def test_an_unknown_label_is_told_with_its_line_and_the_known_ones(label: str | None, shown: str) -> None:
    examples = [Example("x", None, "1", 2), Example("y", None, label, 5)]
    with pytest.raises(DataError) as caught:
        label_numbers(examples, MANIFEST, "d.tsv")
    assert str(caught.value) == f"d.tsv: line 5: unknown label {shown}; expected one of: negative, positive"
    assert caught.value.exit_code == 2
