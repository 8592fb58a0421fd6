"""`examples/adapters/spacy_component.py`: a bundle writes entities and labels to spaCy's documents."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fuzz.answering import make_model, wordpiece

import edgebert
from edgebert.runtime.model import Model

spacy = pytest.importorskip("spacy", reason="spacy is not installed")

import_module("examples.adapters.spacy_component")  # registers the factory

TEXTS = ["the cat sat on the mat", "", "one two three four five six seven", " \n", "a mat, the cat"]
Make = Callable[..., tuple[Any, Model]]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    tokenizer = wordpiece(tmp_path)

    def made(task: str, **config: Any) -> tuple[Any, Model]:
        model = make_model(task, tokenizer)
        model.facts = replace(model.facts, task=task)
        monkeypatch.setattr(edgebert, "load", lambda path: model)
        nlp = spacy.blank("en")
        nlp.add_pipe("edgebert", config={"bundle": "build/my", **config})
        return nlp, model

    return made


def entities(doc: Any) -> list[tuple[str, str]]:
    return [(span.text, span.label_) for span in doc.ents]


@pytest.mark.parametrize(("task", "key"), [("token-classification", "entities"), ("intent-slots", "slots")])
def test_entities_are_the_bundles_own(task: str, key: str, make: Make) -> None:
    nlp, model = make(task)
    found = 0
    for text in TEXTS:
        expected = [(each.text, each.label) for each in getattr(model(text), key)] if text.strip() else []
        assert entities(nlp(text)) == expected
        found += len(expected)
    assert found > 3


@pytest.mark.parametrize("task", ["text-classification", "multi-label", "intent-slots"])
def test_labels_have_the_bundles_own_scores(task: str, make: Make) -> None:
    nlp, model = make(task)
    for text in TEXTS:
        assert nlp(text).cats == (model(text).scores if text.strip() else {})


@pytest.mark.parametrize("task", ["token-classification", "text-classification", "intent-slots"])
def test_many_documents_are_answered_as_one_by_one(task: str, make: Make) -> None:
    nlp, _ = make(task)
    one_by_one = [nlp(text) for text in TEXTS]
    for size in (1, 2, 100):
        for doc, alone in zip(nlp.pipe(TEXTS, batch_size=size), one_by_one, strict=True):
            assert (doc.text, entities(doc), doc.cats) == (alone.text, entities(alone), alone.cats)


def test_words_that_spacy_splits_elsewhere_take_whole_tokens(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    nlp, model = make("token-classification")
    entity = type(next(each for text in TEXTS if text.strip() for each in model(text).entities))
    answer = type(model("a"))(
        tuple(entity("X", "", start, end, 1.0) for start, end in ((0, 2), (2, 4), (9, 12))), (), ()
    )
    monkeypatch.setattr(Model, "__call__", lambda self, text, **named: answer)
    doc = nlp("abcd-efg hij kl")
    assert all(doc.text[span.start_char : span.end_char] == span.text for span in doc.ents)
    assert [span.text for span in doc.ents] == ["abcd", "hij"]


def test_a_saved_pipeline_opens_the_bundle_again(make: Make, tmp_path: Path) -> None:
    nlp, _ = make("token-classification")
    nlp.to_disk(tmp_path / "saved")
    again = spacy.load(tmp_path / "saved")
    assert [entities(again(text)) for text in TEXTS] == [entities(nlp(text)) for text in TEXTS]


def test_another_task_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="is a bundle for similarity; give one for token-classification"):
        make("similarity")
