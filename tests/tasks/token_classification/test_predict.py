"""Token classification on the device: rows to what the metrics compare, predictions to lines and JSON."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
from manifests import facts_of

from edgebert.data.examples import Example
from edgebert.data.tags import Scheme, tag_set
from edgebert.data.words import Words
from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded
from edgebert.tasks.token_classification.predict import Entities, Entity, TokenClassification
from edgebert.tasks.token_classification.spec import SPEC


def task(scheme: Scheme = "BIO", types: tuple[str, ...] = ("person", "place"), **data: Any) -> TokenClassification:
    manifest = {"labels": tag_set(types, scheme), "head": {"settings": {"scheme": scheme}}, "data": data}
    return TokenClassification(facts_of(manifest), None)


def row(*tags: str, words: tuple[str, ...] = ()) -> Example:
    return Example(" ".join(words), None, tags, 7, "d.conll", words)


def test_a_prediction_is_a_line_and_plain_json() -> None:
    found = (Entity("PER", "Ann\n Lee", 0, 8, 0.9), Entity("LOC", "Rome", 12, 16, 0.8))
    prediction = Entities(found, ("Ann", "Lee", "in", "Rome"), ("B-PER", "I-PER", "O", "B-LOC"))
    assert str(prediction) == "PER:Ann Lee; LOC:Rome"
    assert str(Entities((), ("a",), ("O",))) == "-"
    plain = json.loads(json.dumps(asdict(prediction)))
    assert plain["entities"][0] == {"label": "PER", "text": "Ann\n Lee", "start": 0, "end": 8, "score": 0.9}
    assert plain["tags"] == ["B-PER", "I-PER", "O", "B-LOC"]


def test_the_first_metric_is_f1_over_entities() -> None:
    assert list(SPEC.metrics) == ["entity_f1", "entity_precision", "entity_recall"]


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("BIO", ("B-person", "I-person", "B-person", "O", "B-place")),
        ("IOB1", ("I-person", "I-person", "B-person", "O", "I-place")),
        ("BIOES", ("B-person", "E-person", "S-person", "O", "S-place")),
    ],
)
def test_tags_of_every_scheme_are_compared_in_bio(scheme: Scheme, tags: tuple[str, ...]) -> None:
    assert task(scheme).expected(row(*tags)) == ("B-person", "I-person", "B-person", "O", "B-place")


def test_tags_may_be_those_of_the_files_or_those_shown() -> None:
    named = task(label_values=tag_set(["PER", "LOC"], "BIO"))
    assert named.expected(row("B-PER", "I-PER", "B-LOC", "B-place")) == ("B-person", "I-person", "B-place", "B-place")


@pytest.mark.parametrize(
    ("example", "message"),
    [
        (
            row("O", "B-thing"),
            "d.conll: line 7: unknown tag 'B-thing'; expected one of: O, B-person, I-person, B-place",
        ),
        (
            replace(row("O", "B-thing"), word_a_line=True),
            "d.conll: line 8: unknown tag 'B-thing'; expected one of: O, B-person, I-person, B-place",
        ),
        (Example("a", None, None, 7, "d.txt"), "d.txt: line 7: no tags; expected one for each word, or entities"),
    ],
)
def test_a_row_that_cannot_be_compared_is_told_with_its_place(example: Example, message: str) -> None:
    with pytest.raises(DataError) as caught:
        task().expected(example)
    assert str(caught.value).startswith(message)


def test_a_row_is_asked_by_its_words_where_it_has_them() -> None:
    assert task().given(row("O", "O", words=("New York", "is"))) == Words(("New York", "is"))
    assert task().given(Example("New York is", None, None, 1)) == "New York is"


def test_decoding_reads_first_pieces_and_gives_what_is_compared() -> None:
    window = Encoded([1, 5, 6, 7, 2], [0] * 5, words=[None, 0, 0, 1, None])
    logits = np.zeros((5, 5), dtype=np.float32)
    logits[1, 1] = logits[2, 3] = logits[3, 2] = 9.0
    decoded = task().decode(Words(("Ann", "Lee")), [window], [(logits,)])
    assert [(entity.label, entity.text) for entity in decoded.entities] == [("person", "Ann Lee")]
    assert task().predicted(decoded) == ("B-person", "I-person")
