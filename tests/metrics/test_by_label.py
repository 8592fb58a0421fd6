"""Scores by label and confusions: equal to manual results, and to scikit-learn and seqeval on random answers."""

import json
import random
import warnings
from typing import Any

import numpy as np
import pytest

from edgebert.data.tags import repaired, tag_set
from edgebert.metrics.by_label import (
    Breakdown,
    Confusion,
    LabelScore,
    by_chosen,
    by_class,
    by_entity_type,
    by_intent,
    by_slot_type,
)
from edgebert.tasks.table import spec_of, task_names

NAMES = ["a", "b", "c", "d", "rare"]


def columns(breakdown: Breakdown) -> list[list[float]]:
    """Precision, recall, F1 and support, a list of the labels' each; undefined is nan as scikit-learn has it."""
    rows = [(row.precision, row.recall, row.f1, row.support) for row in breakdown.labels]
    return [[np.nan if value is None else value for value in column] for column in zip(*rows, strict=True)]


def test_scores_and_confusions_by_hand() -> None:
    found = by_class(["no", "yes", "maybe"], [0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 0])
    assert found.labels == (
        LabelScore("no", 1 / 2, 1 / 3, 2 / 5, 3),
        LabelScore("yes", 2 / 4, 2 / 3, 4 / 7, 3),
        LabelScore("maybe", None, None, None, 0),
    )
    assert found.confusions == (Confusion("no", "yes", 2), Confusion("yes", "no", 1))
    plain = found.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["labels"][1] == {"label": "yes", "precision": 0.5, "recall": 0.666667, "f1": 0.571429, "support": 3}
    assert plain["labels"][2]["precision"] is None


def test_a_label_that_the_model_does_not_know_is_a_row_of_its_own() -> None:
    found = by_class(["no", "yes"], [0, "unseen", 1], [0, 1, 1])
    assert [(row.label, row.precision, row.recall, row.support) for row in found.labels] == [
        ("no", 1.0, 1.0, 1),
        ("yes", 0.5, 1.0, 1),
        ("unseen", None, 0.0, 1),
    ]
    assert found.confusions == (Confusion("unseen", "yes", 1),)


@pytest.mark.parametrize("seed", range(4))
def test_classes_are_scored_as_scikit_learn_scores_them(seed: int) -> None:
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    numbers = np.random.default_rng(seed)
    # Nothing is `rare`, and `d` is never predicted.
    expected = numbers.integers(0, 4, 60).tolist()
    predicted = numbers.integers(0, 3, 60).tolist()
    found = by_class(NAMES, expected, predicted)
    theirs = precision_recall_fscore_support(expected, predicted, labels=range(5), zero_division=np.nan)
    for ours, column in zip(columns(found), theirs, strict=True):
        np.testing.assert_allclose(ours, column, rtol=0, atol=1e-12)
    matrix = confusion_matrix(expected, predicted, labels=range(5))
    wrong = {(NAMES[a], NAMES[b]): int(matrix[a, b]) for a in range(5) for b in range(5) if a != b and matrix[a, b]}
    assert found.confusions is not None
    counts = [confusion.count for confusion in found.confusions]
    assert counts == sorted(wrong.values(), reverse=True)[:10]
    assert {(one.expected, one.predicted): one.count for one in found.confusions}.items() <= wrong.items()


def test_several_labels_a_text_are_scored_as_scikit_learn_scores_them() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    numbers = np.random.default_rng(5)
    expected, predicted = numbers.random((2, 40, 5)) < [0.5, 0.3, 0.1, 0.6, 0.0]
    found = by_chosen(NAMES, list(expected), list(predicted))
    theirs = precision_recall_fscore_support(expected, predicted, zero_division=np.nan)
    for ours, column in zip(columns(found), theirs, strict=True):
        np.testing.assert_allclose(ours, column, rtol=0, atol=1e-12)
    assert [row.label for row in found.labels] == NAMES
    assert found.confusions is None
    assert "confusions" not in found.to_dict()


def random_tags(seed: int) -> list[tuple[str, ...]]:
    random_ = random.Random(seed)
    tags = tag_set(["per", "b-c", "org"], "BIO")
    rows = [random_.choices(tags, k=random_.randint(1, 12)) for _ in range(40)]
    return [tuple(repaired(row, "BIO")) for row in rows]


def half_changed(rows: list[tuple[str, ...]], others: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows of which every second one is replaced, cut or filled up to the same length."""
    return [
        row if at % 2 else tuple(repaired([*other, *["O"] * len(row)][: len(row)], "BIO"))
        for at, (row, other) in enumerate(zip(rows, others, strict=True))
    ]


@pytest.mark.parametrize("seed", range(4))
def test_entities_are_scored_as_seqeval_scores_them(seed: int) -> None:
    from seqeval.metrics import classification_report

    expected = random_tags(seed)
    predicted = half_changed(expected, random_tags(seed + 100))
    found = by_entity_type(["O", "B-per", "I-per", "B-none"], expected, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report: Any = classification_report(
            [list(row) for row in expected], [list(row) for row in predicted], output_dict=True, zero_division=0
        )
    ours = {row.label: row for row in found.labels}
    assert list(ours) == ["b-c", "none", "org", "per"]
    assert ours["none"] == LabelScore("none", None, None, None, 0)
    for label in ("b-c", "org", "per"):
        row, theirs = ours[label], report[label]
        assert 0 < theirs["precision"] < 1
        figures = [theirs[name] for name in ("precision", "recall", "f1-score", "support")]
        assert [row.precision, row.recall, row.f1, row.support] == pytest.approx(figures, abs=1e-12)
    assert found.confusions is None


def test_a_frame_is_broken_down_by_intent_and_by_slot() -> None:
    expected = [("on", ("B-room",)), ("on", ("O",)), ("off", ("B-hour",))]
    predicted = [("on", ("B-room",)), ("off", ("B-room",)), ("off", ("O",))]
    intents = by_intent(["on", "off", "dim"], expected, predicted)
    assert (intents.of, intents.confusions) == ("intent", (Confusion("on", "off", 1),))
    assert [(row.label, row.recall, row.support) for row in intents.labels] == [
        ("on", 0.5, 2),
        ("off", 1.0, 1),
        ("dim", None, 0),
    ]
    slots = by_slot_type(["on", "off"], expected, predicted)
    assert slots.labels == (LabelScore("hour", None, 0.0, 0.0, 1), LabelScore("room", 0.5, 1.0, 2 / 3, 1))
    assert (slots.of, slots.confusions) == ("slot type", None)


def test_every_task_with_labels_is_broken_down_by_its_own_kind() -> None:
    chosen = {task: spec_of(task).by_label for task in task_names()}
    assert {task: kinds for task, kinds in chosen.items() if kinds} == {
        "text-classification": (by_class,),
        "multi-label": (by_chosen,),
        "token-classification": (by_entity_type,),
        "intent-slots": (by_intent, by_slot_type),
    }
