"""Intent and slots on the device: rows to what the metrics compare, predictions to lines and JSON."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from manifests import facts_of

from edgebert.data.examples import Example
from edgebert.data.tags import tag_set
from edgebert.data.words import Words
from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded
from edgebert.tasks.intent_slots.predict import Command, Entity, IntentSlots
from edgebert.tasks.intent_slots.spec import SPEC


def task(**data: Any) -> IntentSlots:
    head = {"settings": {"scheme": "BIO"}, "tags": tag_set(["device", "room"], "BIO")}
    return IntentSlots(facts_of({"labels": ["Off", "On"], "head": head, "data": data}), None)


def row(intent: str, *tags: str, words: tuple[str, ...] = ()) -> Example:
    return Example(" ".join(words), None, (intent, tags), 7, "d/seq.in", words)


def test_a_prediction_is_a_line_and_plain_json() -> None:
    slots = (Entity("device", "big lamp", 4, 12, 0.9), Entity("room", "hall", 16, 20, 0.8))
    command = Command("On", 0.98765, {"Off": 0.01235, "On": 0.98765}, slots, ("on",), ("O",))
    assert str(command) == "On\t0.9877\tdevice:big lamp; room:hall"
    assert str(Command("On", 1.0, {}, (), (), ())) == "On\t1.0000\t-"
    plain = json.loads(json.dumps(asdict(command)))
    assert plain["slots"][1] == {"label": "room", "text": "hall", "start": 16, "end": 20, "score": 0.8}
    assert plain["scores"] == {"Off": 0.01235, "On": 0.98765}


def test_the_first_metric_weighs_intents_and_slots_alike() -> None:
    assert list(SPEC.metrics) == ["intent_slots", "intent_accuracy", "slot_f1", "exact_match"]


def test_a_row_is_compared_by_intent_and_tags() -> None:
    assert task().expected(row("On", "O", "B-device")) == ("On", ("O", "B-device"))
    assert task(label_values=["0", "1"]).expected(row("1", "O")) == ("On", ("O",))
    assert task(label_values=["0", "1"]).expected(row("Off", "O")) == ("Off", ("O",))


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (row("Dim", "O"), "d/seq.in: line 7: unknown intent 'Dim'; expected one of: Off, On"),
        (row("On", "B-time"), "d/seq.in: line 7: unknown tag 'B-time'; expected one of: O, B-device, I-device, B-room"),
        (Example("a", None, None, 7, "d.txt"), "d.txt: line 7: no intent and no tags; expected both"),
    ],
)
def test_a_row_that_cannot_be_compared_is_told_with_its_place(example: Example, message: str) -> None:
    with pytest.raises(DataError) as caught:
        task().expected(example)
    assert str(caught.value).startswith(message)


def test_a_row_is_asked_by_its_words_where_it_has_them() -> None:
    assert task().given(row("On", "O", words=("on",))) == Words(("on",))
    assert task().given(Example("on", None, None, 1)) == "on"


def test_of_several_windows_the_mean_probability_decides_and_slots_are_joined() -> None:
    """The first window is almost certain, the second nearly undecided: probabilities are averaged, not logits."""
    first = Encoded([1, 5, 6, 2], [0] * 4, words=[None, 0, 1, None])
    second = Encoded([1, 6, 7, 2], [0] * 4, words=[None, 1, 2, None])
    tags = np.zeros((4, 5), dtype=np.float32)
    tags[2, 1] = 9.0
    other = np.zeros((4, 5), dtype=np.float32)
    other[2, 2] = 9.0
    outputs = [
        (np.array([0.0, 2.0], dtype=np.float32), tags),
        (np.array([1.0, 0.0], dtype=np.float32), other),
    ]
    given = Words(("on", "big", "lamp"))
    command = task().decode(given, [first, second], outputs)
    shares = [np.exp(2) / (1 + np.exp(2)), 1 / (1 + np.exp(1))]
    assert (command.intent, command.score) == ("On", pytest.approx(np.mean(shares)))
    assert command.scores == pytest.approx({"Off": 1 - np.mean(shares), "On": np.mean(shares)})
    # "big" stands at a border in both windows, so the first one's reading of it counts.
    assert [(slot.label, slot.text, slot.start, slot.end) for slot in command.slots] == [("device", "big lamp", 3, 11)]
    assert task().predicted(command) == ("On", ("O", "B-device", "I-device"))
