"""Entity metrics: equal to manual results, and to seqeval on random tags."""

import json
import random
from typing import Any

import pytest

from edgebert.data.tags import repaired, tag_set
from edgebert.metrics.entities import ENTITY_METRICS, FRAME_METRICS
from edgebert.runtime.quality import measure_quality


def figure(metrics: Any, name: str, expected: Any, predicted: Any) -> float:
    metric = metrics[name]
    return float(metric.figure(metric.table(expected, predicted)))


EXPECTED = [("B-X", "I-X", "O", "B-Y"), ("O", "O"), ("B-X",)]
PREDICTED = [("B-X", "I-X", "B-Y", "O"), ("O", "B-X"), ("B-X",)]


def test_entities_are_counted_over_all_texts() -> None:
    table = ENTITY_METRICS["entity_f1"].table(EXPECTED, PREDICTED)
    assert table.tolist() == [[1, 2, 2], [0, 1, 0], [1, 1, 1]]
    assert figure(ENTITY_METRICS, "entity_precision", EXPECTED, PREDICTED) == 2 / 4
    assert figure(ENTITY_METRICS, "entity_recall", EXPECTED, PREDICTED) == 2 / 3
    assert figure(ENTITY_METRICS, "entity_f1", EXPECTED, PREDICTED) == 4 / 7
    assert next(iter(ENTITY_METRICS)) == "entity_f1"


@pytest.mark.parametrize("name", ENTITY_METRICS)
def test_where_there_is_no_entity_the_figure_is_nought(name: str) -> None:
    assert figure(ENTITY_METRICS, name, [("O",)], [("O",)]) == 0.0


def test_a_frame_is_right_where_intent_and_all_slots_are() -> None:
    expected = [("On", ("B-X", "O")), ("On", ("B-X", "I-X")), ("Off", ("O", "O")), ("Off", ("B-X", "B-Y"))]
    predicted = [("On", ("B-X", "O")), ("Off", ("B-X", "I-X")), ("Off", ("O", "B-X")), ("Off", ("B-X", "O"))]
    assert figure(FRAME_METRICS, "exact_match", expected, predicted) == 1 / 4
    assert figure(FRAME_METRICS, "intent_accuracy", expected, predicted) == 3 / 4
    assert figure(FRAME_METRICS, "slot_f1", expected, predicted) == 6 / 8
    assert figure(FRAME_METRICS, "intent_slots", expected, predicted) == (3 / 4 + 6 / 8) / 2
    assert next(iter(FRAME_METRICS)) == "intent_slots"


def random_tags(seed: int, broken: bool) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Tags of 30 texts, and predictions of which two thirds are right; `broken` ones violate the scheme."""
    random_ = random.Random(seed)
    tags = tag_set(["a", "b-c"], "BIOES" if broken else "BIO")
    expected, predicted = [], []
    for _ in range(30):
        right = random_.choices(tags, k=random_.randint(1, 12))
        guess = [tag if random_.random() < 0.67 else random_.choice(tags) for tag in right]
        expected.append(tuple(right if broken else repaired(right, "BIO")))
        predicted.append(tuple(guess if broken else repaired(guess, "BIO")))
    return expected, predicted


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("broken", [False, True])
def test_figures_are_seqevals(seed: int, broken: bool) -> None:
    seqeval = pytest.importorskip("seqeval.metrics")
    expected, predicted = random_tags(seed, broken)
    lists = [list(map(list, expected)), list(map(list, predicted))]
    for name, score in (
        ("entity_f1", seqeval.f1_score),
        ("entity_precision", seqeval.precision_score),
        ("entity_recall", seqeval.recall_score),
    ):
        assert figure(ENTITY_METRICS, name, expected, predicted) == pytest.approx(
            score(*lists, zero_division=0), abs=1e-12
        )


@pytest.mark.parametrize("name", FRAME_METRICS)
def test_the_interval_holds_the_value(name: str) -> None:
    expected, predicted = random_tags(1, broken=False)
    frames = [
        [(intent, tags) for intent, tags in zip(intents, texts, strict=True)]
        for intents, texts in (("ab" * 15, expected), ("aab" * 10, predicted))
    ]
    quality = measure_quality(name, FRAME_METRICS[name], *frames)
    assert quality.n == 30
    assert quality.ci_low <= quality.value <= quality.ci_high
    assert quality.ci_low < quality.ci_high
    assert json.loads(json.dumps(quality.as_dict()))["metric"] == name
