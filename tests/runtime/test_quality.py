"""Quality of a model on labelled rows, and its interval."""

import json
from typing import Any

import numpy as np
import pytest
from manifests import manifest_of

from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.manifest_data import QualityEntry
from edgebert.metrics.entities import ENTITY_METRICS, FRAME_METRICS
from edgebert.runtime.quality import Quality, about, evaluate, evaluate_all, measure_quality, scored, shown
from edgebert.settings import fill
from edgebert.tasks.table import spec_of
from edgebert.tasks.text_classification.predict import Classification, TextClassification

NO_LABELS = np.zeros(3, bool)

METRICS, SCORES, LABELLINGS = (spec_of(task).metrics for task in ("text-classification", "regression", "multi-label"))


def labels(seed: int, count: int, classes: int, right: float) -> tuple[list[int], list[int]]:
    """Expected and predicted labels that agree about as often as `right` says."""
    random = np.random.default_rng(seed)
    expected = random.integers(0, classes, count)
    predicted = np.where(random.random(count) < right, expected, random.integers(0, classes, count))
    return expected.tolist(), predicted.tolist()


@pytest.mark.parametrize("metric", ["accuracy", "f1", "macro_f1", "matthews"])
def test_the_interval_holds_the_value_and_narrows_with_more_texts(metric: str) -> None:
    small, large = (measure_quality(metric, METRICS[metric], *labels(1, count, 2, 0.8)) for count in (100, 1600))
    for quality in (small, large):
        assert 0 < quality.ci_low < quality.value < quality.ci_high < 1
    assert (small.n, large.n) == (100, 1600)
    # With 16 times as many texts the interval is four times narrower, within sampling error.
    assert 2.5 < (small.ci_high - small.ci_low) / (large.ci_high - large.ci_low) < 6


def test_the_interval_of_an_accuracy_is_the_binomials() -> None:
    quality = measure_quality("accuracy", METRICS["accuracy"], [0] * 400, [0] * 320 + [1] * 80)
    assert quality.value == 0.8
    assert quality.ci_low == pytest.approx(0.8 - 1.96 * 0.02, abs=0.006)
    assert quality.ci_high == pytest.approx(0.8 + 1.96 * 0.02, abs=0.006)


def test_quality_is_the_same_again_and_plain_json() -> None:
    pair = labels(3, 90, 3, 0.7)
    quality = measure_quality("macro_f1", METRICS["macro_f1"], *pair)
    assert quality == measure_quality("macro_f1", METRICS["macro_f1"], *pair)
    plain = json.loads(json.dumps(quality.as_dict()))
    assert set(plain) == {"metric", "value", "n", "ci_low", "ci_high"}
    assert plain["metric"] == "macro_f1"
    assert plain["value"] == round(quality.value, 6)


@pytest.mark.parametrize(
    ("metrics", "name", "silent", "telling", "lacks"),
    [
        (METRICS, "f1", [0, 0], [0, 1], "a text of the positive label"),
        (METRICS, "matthews", [1, 1], [0, 1], "two different labels"),
        (SCORES, "spearman", [0.5], [0.5, 0.6], "two different scores"),
        (SCORES, "pearson", [0.5, 0.5], [0.5, 0.6], "two different scores"),
        (ENTITY_METRICS, "entity_f1", [("O", "O")], [("O", "B-A")], "an entity"),
        (FRAME_METRICS, "slot_f1", [("on", ("O",))], [("on", ("B-A",))], "an entity"),
        (LABELLINGS, "micro_f1", [NO_LABELS], [~NO_LABELS], "a label"),
        (LABELLINGS, "macro_f1", [NO_LABELS], [~NO_LABELS], "a label"),
    ],
)
def test_texts_that_say_nothing_of_a_metric_are_told(
    metrics: Any, name: str, silent: list[Any], telling: list[Any], lacks: str
) -> None:
    told = measure_quality(name, metrics[name], silent, silent)
    assert (told.value, told.lacks, told.as_dict()["lacks"]) == (0.0, lacks, lacks)
    told = measure_quality(name, metrics[name], telling, telling)
    assert (told.value, told.lacks, "lacks" in told.as_dict()) == (1.0, "", False)


def test_the_interval_is_of_the_resamples_that_say_something() -> None:
    # Resamples with neither the entity nor the false alarm have no F1 and are left out.
    right = [("B-A",), *[("O",)] * 11]
    wrong = [("B-A",), ("B-A",), *[("O",)] * 10]
    told = measure_quality("entity_f1", ENTITY_METRICS["entity_f1"], right, wrong)
    assert told.value == pytest.approx(2 / 3)
    assert told.ci_low == 0.0  # a false alarm alone; a resample without entity and alarm is left out
    assert told.ci_high == 1.0


@pytest.mark.parametrize(
    ("right", "texts", "has_interval"), [(1, 2, False), (2, 3, False), (8, 9, False), (9, 10, True), (10, 10, False)]
)
def test_few_texts_and_texts_that_are_all_right_have_no_interval(right: int, texts: int, has_interval: bool) -> None:
    told = measure_quality("accuracy", METRICS["accuracy"], [1] * texts, [1] * right + [0] * (texts - right))
    assert (told.ci_low is not None, told.ci_high is not None) == (has_interval, has_interval)
    assert ("no interval" not in about(told.entry)) == has_interval


def test_what_is_shown_of_a_figure_and_of_none() -> None:
    told = Quality("f1", 0.5, 1, 0.25, 0.75).entry
    assert f"{shown(told)} ({about(told)})" == "0.5000 (95% 0.2500 to 0.7500, 1 text)"
    told = Quality("f1", 0.0, 2, 0.0, 0.0, "an entity").entry
    assert f"{shown(told)} ({about(told)})" == "undefined (2 texts, without an entity)"
    told = Quality("f1", 0.5, 2, None, None).entry
    assert f"{shown(told)} ({about(told)})" == "0.5000 (no interval, 2 texts)"


def test_false_alarms_alone_are_a_nought() -> None:
    for metrics, name, expected, predicted in (
        (METRICS, "f1", [0], [1]),
        (ENTITY_METRICS, "entity_f1", [("O",)], [("B-A",)]),
        (ENTITY_METRICS, "entity_precision", [("O",)], [("B-A",)]),
        (LABELLINGS, "micro_f1", [NO_LABELS], [~NO_LABELS]),
    ):
        told = measure_quality(name, metrics[name], expected, predicted)
        assert (told.value, told.lacks) == (0.0, "")


class Model:
    """Answers positive for every text with an `x`; records its inputs."""

    def __init__(self, segments: int = 1, longest: int = 100) -> None:
        self.longest = longest
        data = {"label_values": ["0", "1"]}
        self.manifest = manifest_of(labels=["negative", "positive"], segments=segments, data=data)
        self.task = TextClassification(self.manifest.facts, None)
        self.asked: list[Any] = []

    def __call__(self, text: Any) -> Classification:
        self.asked.append(text)
        label = "positive" if "x" in "".join(text) else "negative"
        return Classification(label, 1.0, {}, len("".join(text)) > self.longest)


def test_a_model_is_asked_one_text_at_a_time_and_scored_by_its_task() -> None:
    model: Any = Model()
    rows = [("x", "1"), ("ax", "positive"), ("a", "1"), ("b", "0")]
    examples = [Example(text, None, label, at + 2) for at, (text, label) in enumerate(rows)]
    accuracy = evaluate(model, iter(examples), "accuracy")
    assert model.asked == ["x", "ax", "a", "b"]
    assert (accuracy.metric, accuracy.value, accuracy.n) == ("accuracy", 0.75, 4)
    f1 = evaluate(model, examples, "f1")
    assert (f1.metric, f1.value) == ("f1", 0.8)


def test_every_metric_comes_from_one_answer_a_text_and_f1_where_there_are_two_labels() -> None:
    model: Any = Model()
    model.manifest.data.metric = "macro_f1"
    examples = [Example(text, None, label, 1) for text, label in [("x", "1"), ("a", "1"), ("b", "0")]]
    found = evaluate_all(model, examples)
    assert model.asked == ["x", "a", "b"]
    assert list(found) == ["macro_f1", "accuracy", "f1", "matthews"]
    assert (found["accuracy"].value, found["f1"].value) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    model.manifest.labels = ("negative", "positive", "neutral")
    assert list(evaluate_all(model, examples)) == ["macro_f1", "accuracy", "matthews"]


def test_texts_that_were_cut_are_counted_beside_the_figure() -> None:
    model: Any = Model(longest=3)
    examples = [Example(text, None, "1", 1) for text in ("x", "xxx", "xxxx", "aaaaa")]
    found = scored(model, examples, "accuracy")
    assert found == evaluate(model, examples, "accuracy").as_dict() | {"cut": 2}
    assert about(fill(QualityEntry, found, "found")).endswith(", 4 texts, 2 of them (50.0%) cut")
    found = scored(model, examples[:2], "accuracy")
    assert "cut" not in found
    assert about(fill(QualityEntry, found, "found")).endswith(", 2 texts")


def test_a_pair_is_asked_as_a_pair() -> None:
    model: Any = Model(segments=2)
    quality = evaluate(model, [Example("a", "x", "1", 1), Example("a", "b", "0", 2)], "accuracy")
    assert model.asked == [("a", "x"), ("a", "b")]
    assert quality == Quality("accuracy", 1.0, 2, None, None)


def test_a_row_with_an_unknown_label_counts_as_wrong_and_one_without_a_label_is_refused() -> None:
    examples = [Example("x", None, "1", 2, "d.tsv"), Example("x", None, "neutral", 5, "d.tsv")]
    model: Any = Model()
    found = scored(model, examples, "accuracy")
    assert (found["value"], found["unknown_labels"]) == (0.5, {"rows": 1, "labels": {"neutral": 1}, "more": 0})
    model.asked.clear()
    with pytest.raises(DataError) as caught:
        evaluate(model, [*examples, Example("z", None, None, 6, "d.tsv")], "accuracy")
    assert str(caught.value) == "d.tsv: line 6: no label; expected one of: negative, positive"
    assert model.asked == []
