"""Labels of a data file that the model does not have are counted as in scikit-learn and seqeval."""

import warnings
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from seqeval.metrics import classification_report
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from edgebert.data.examples import Example
from edgebert.data.unknown import Unknown, check_labels, gold, note_of, unknown_labels
from edgebert.errors import DataError
from edgebert.manifest_data import QualityEntry
from edgebert.metrics.by_label import by_chosen, by_class, by_entity_type, by_intent, by_slot_type
from edgebert.metrics.pairs import difference_of, pair_of
from edgebert.runtime.quality import about, labels_unknown, measure_quality
from edgebert.settings import fill
from edgebert.tasks.table import device_task, spec_of
from edgebert.tasks.training_table import training_task

SETTINGS: dict[str, Any] = {"text-classification": {}, "multi-label": {"separator": ","}}
CLASSES = ["no", "yes"]
TAGS = ["O", "B-PER", "I-PER"]


def task_of(name: str, labels: list[str], head: Any = None, values: Any = ()) -> Any:
    head = {"settings": SETTINGS.get(name, {})} | (head or {})
    manifest = {"labels": labels, "segments": 1, "head": head, "data": {"label_values": list(values)}}
    return device_task(name)(facts_of(manifest), None)


def rows(*labels: Any) -> list[Example]:
    return [Example("a b c d", None, label, line, "d.tsv") for line, label in enumerate(labels, 2)]


def figures(task: str, expected: Any, predicted: Any) -> dict[str, float]:
    """Every metric of a task on the device, compared with the workstation's libraries."""
    found = {name: metric.figure(metric.table(expected, predicted)) for name, metric in spec_of(task).metrics.items()}
    score = training_task(task).score
    assert found == pytest.approx({name: score(name, expected, predicted) for name in found}, abs=1e-12)
    return found


def test_a_column_that_is_not_that_of_the_labels_is_refused() -> None:
    task = task_of("text-classification", CLASSES)
    assert unknown_labels(task, rows(*map(str, range(1_000)))).rows == 1_000
    with pytest.raises(DataError, match=r"1001 different labels that the model does not have, in 1001 rows, .* name"):
        unknown_labels(task, rows(*map(str, range(1_001))))


def test_an_unknown_class_is_a_class_of_its_own_that_is_never_predicted() -> None:
    gold_labels = ["yes", "no", "maybe", "yes", "maybe", "never", "no", "no"]
    answered = ["yes", "no", "yes", "no", "no", "yes", "no", "yes"]
    expected, unknown = gold(task_of("text-classification", CLASSES), rows(*gold_labels))
    assert expected == [1, 0, 2, 1, 2, 3, 0, 0]
    predicted = [CLASSES.index(label) for label in answered]
    assert figures("text-classification", expected, predicted) == pytest.approx(
        {
            "accuracy": accuracy_score(gold_labels, answered),
            "f1": f1_score(gold_labels, answered, labels=["yes"], average="macro"),
            "macro_f1": f1_score(gold_labels, answered, average="macro"),
            "matthews": matthews_corrcoef(gold_labels, answered),
        }
    )
    found = by_class(CLASSES, expected, predicted, tuple(unknown.labels))
    assert [(row.label, row.recall, row.f1, row.support) for row in found.labels[2:]] == [
        ("maybe", 0.0, 0.0, 2),
        ("never", 0.0, 0.0, 1),
    ]
    assert ("maybe", "yes", 1) in [(one.expected, one.predicted, one.count) for one in found.confusions or ()]


def test_an_unknown_label_among_several_is_one_that_was_not_found() -> None:
    labels = ["joy", "fear"]
    task = task_of("multi-label", labels, {"thresholds": [0.5, 0.5]})
    expected, unknown = gold(task, rows(("joy",), ("joy", "awe"), (), ("awe",), ("fear", "rage")))
    predicted = [np.array(one, bool) for one in ([1, 0], [1, 0], [0, 0], [0, 1], [0, 1])]
    assert list(unknown.labels.items()) == [("awe", 2), ("rage", 1)]
    wide = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    wanted = np.array([[1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 1]])
    assert figures("multi-label", expected, predicted) == pytest.approx(
        {
            "micro_f1": f1_score(wanted, wide, average="micro"),
            "macro_f1": f1_score(wanted, wide, average="macro"),
            "accuracy": accuracy_score(wanted, wide),
        }
    )
    found = by_chosen(labels, expected, predicted, tuple(unknown.labels)).labels
    assert [(row.label, row.precision, row.recall, row.support) for row in found] == [
        ("joy", 1.0, 1.0, 2),
        ("fear", 0.5, 1.0, 1),
        ("awe", None, 0.0, 2),
        ("rage", None, 0.0, 1),
    ]


def test_an_entity_of_an_unknown_type_is_missed() -> None:
    texts = [("B-PER", "I-PER", "O", "B-DATE"), ("B-LOC", "I-LOC", "O", "O"), ("B-PER", "O", "O", "O")]
    answers = [("B-PER", "I-PER", "O", "O"), ("B-PER", "I-PER", "O", "O"), ("B-PER", "O", "O", "O")]
    expected, unknown = gold(task_of("token-classification", TAGS), rows(*texts))
    assert (expected, list(unknown.labels)) == (texts, ["DATE", "LOC"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval's, of types that are never predicted
        report = classification_report(
            [list(tags) for tags in texts], [list(tags) for tags in answers], output_dict=True
        )
    micro = report["micro avg"]
    assert figures("token-classification", expected, answers) == pytest.approx(
        {
            "entity_f1": micro["f1-score"],
            "entity_precision": micro["precision"],
            "entity_recall": micro["recall"],
        }
    )
    for row in by_entity_type(TAGS, expected, answers, tuple(unknown.labels)).labels:
        assert (row.recall, row.f1, row.support) == pytest.approx(
            (report[row.label]["recall"], report[row.label]["f1-score"], report[row.label]["support"])
        )


def test_a_type_is_shown_as_the_bundle_names_it_though_one_of_its_tags_is_unknown() -> None:
    task = task_of("token-classification", ["O", "B-person"], values=["O", "B-PER"])
    expected, unknown = gold(task, rows(("B-PER", "I-PER", "O", "B-DATE")))
    assert expected == [("B-person", "I-person", "O", "B-DATE")]
    assert unknown.labels == {"DATE": 1, "I-PER": 1}


def test_unknown_intents_and_slots_are_wrong() -> None:
    task = task_of("intent-slots", ["On", "Off"], {"tags": ["O", "B-room", "I-room"]})
    texts = [("On", ("B-room", "O", "O", "O")), ("Dim", ("B-room", "O", "O", "O")), ("Off", ("B-time", "O", "O", "O"))]
    expected, unknown = gold(task, rows(*texts))
    predicted = [("On", ("B-room", "O", "O", "O")), ("On", ("B-room", "O", "O", "O")), ("Off", ("O",) * 4)]
    assert (expected, unknown.labels) == (texts, {"Dim": 1, "time": 1})
    assert figures("intent-slots", expected, predicted) == pytest.approx(
        {"intent_slots": (2 / 3 + 0.8) / 2, "intent_accuracy": 2 / 3, "slot_f1": 0.8, "exact_match": 1 / 3}
    )
    names = tuple(unknown.labels)
    assert [row.label for row in by_intent(task.labels, expected, predicted, names).labels] == ["On", "Off", "Dim"]
    assert [row.label for row in by_slot_type(task.labels, expected, predicted, names).labels] == ["room", "time"]


def test_intervals_and_paired_tests_count_them_too() -> None:
    expected = [0, 1, 2, 0, 1, 2] * 5
    first, second = [0, 1, 0, 0, 1, 1] * 5, [0, 0, 0, 0, 1, 1] * 5
    metric = spec_of("text-classification").metrics["accuracy"]
    quality = measure_quality("accuracy", metric, expected, first)
    assert quality.value == pytest.approx(2 / 3)
    assert quality.ci_low is not None
    assert quality.ci_high is not None
    assert quality.ci_low < 2 / 3 < quality.ci_high
    one, other = metric.table(expected, first), metric.table(expected, second)
    pair = pair_of("accuracy", metric, one, other)
    assert pair is not None
    assert (pair.only_first, pair.only_second) == (5, 0)
    assert difference_of("accuracy", metric, one, other).value == pytest.approx(-1 / 6)


def test_what_is_said_names_rows_and_the_first_labels_and_how_many_more() -> None:
    task = task_of("text-classification", CLASSES)
    unknown = unknown_labels(task, rows("yes", "c", "b", "b", *"abcdefg"))
    assert unknown.rows == 10
    told = (
        "10 of 11 rows have labels that the model does not have: 'b' (3), 'c' (2), 'a' (1), 'd' (1), 'e' (1) and 2 more"
    )
    assert str(unknown) == told
    assert note_of(unknown, "d.tsv") == f"d.tsv: {told}; they count as wrong, --strict-labels refuses them"  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        check_labels(unknown, task)
    assert str(caught.value) == (
        f"d.tsv: line 3: {told} (it has no, yes); correct the file, or leave --strict-labels out to count them as wrong"
    )
    assert str(unknown_labels(task, rows("c"))) == "1 of 1 row has a label that the model does not have: 'c' (1)"
    check_labels(unknown_labels(task, rows("yes")), task)
    assert note_of(unknown_labels(task, rows("yes")), "d.tsv") == ""  # type: ignore[arg-type]


def test_a_result_keeps_the_twenty_most_frequent() -> None:
    unknown = Unknown({f"{at:02}": 1 for at in range(25)}, 25, 30)
    plain = unknown.as_dict()
    assert (plain["rows"], len(plain["labels"]), plain["more"]) == (25, 20, 5)
    assert str(unknown).endswith("'04' (1) and 20 more")
    quality = {"metric": "accuracy", "value": 0.5, "n": 30, "ci_low": None, "ci_high": None, "unknown_labels": plain}
    assert (
        about(fill(QualityEntry, quality, "quality"))
        == "no interval, 30 texts, 25 of them with labels that the model does not have"
    )
    assert labels_unknown([quality, quality, {}]) == [f"{unknown}; they count as wrong"]


def test_a_task_without_labels_has_no_unknown_ones() -> None:
    task = task_of("regression", [], {"settings": {}})
    assert unknown_labels(task, rows(0.5, 1.0)) == Unknown(n=2)
    assert gold(task, rows(0.5))[0] == [0.5]
