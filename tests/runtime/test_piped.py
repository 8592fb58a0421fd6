"""`Model.pipeline` gives the answers of transformers' pipeline for the same checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from family_checkpoints import make_whole

import edgebert
from edgebert.errors import InputError, TextError
from edgebert.runtime.model import Model

TEXTS = ["a good film", "the story was so bad", "cold"]
Opened = Callable[..., tuple[Model, Any]]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Export a seeded checkpoint in FP32; return its bundle and transformers' pipeline."""
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join([*TEXTS, "a warm meal"]) + "\n")

    def open_both(
        pipeline: str, head: str, family: str = "bert", pairs: tuple[str, ...] = (), **config: Any
    ) -> tuple[Model, Any]:
        make_whole(Path("model"), family, head, num_hidden_layers=1, **config)
        text = "texts.txt"
        if pairs:
            text = "pairs.jsonl"
            Path(text).write_text("".join(json.dumps(dict.fromkeys(pairs, one)) + "\n" for one in TEXTS))
        asked = "text_pair" in pairs
        exported = edgebert.export("model", out="bundle", text=text, precision="fp32", pairs=asked)
        return edgebert.load(exported.bundle), transformers.pipeline(pipeline, model="model", device="cpu")

    return open_both


def assert_same(ours: Any, theirs: Any) -> None:
    """Check for equal keys, labels and order, and numbers within 1e-5."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict)
        assert list(ours) == list(theirs)
        for key, value in theirs.items():
            assert_same(ours[key], value)
    elif isinstance(theirs, list):
        assert isinstance(ours, list)
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    else:
        assert ours == (pytest.approx(theirs, abs=1e-5) if isinstance(theirs, float) else theirs)
    json.dumps(ours)


@pytest.mark.parametrize(
    ("family", "config"),
    [
        ("bert", {"num_labels": 3}),
        ("roberta", {"num_labels": 3, "problem_type": "multi_label_classification"}),
        ("distilbert", {"num_labels": 1, "problem_type": "regression"}),
    ],
    ids=["classes", "several", "score"],
)
def test_labels(family: str, config: dict[str, Any], opened: Opened) -> None:
    model, theirs = opened("text-classification", "SequenceClassification", family, **config)
    assert_same(model.pipeline(TEXTS[0]), theirs(TEXTS[0]))
    assert_same(model.pipeline(TEXTS), theirs(TEXTS))
    assert_same(list(model.pipeline(iter(TEXTS), batch_size=2)), theirs(TEXTS))
    for top_k in (1, 2, None):
        assert_same(model.pipeline(TEXTS[1], top_k=top_k), theirs(TEXTS[1], top_k=top_k))
        assert_same(model.pipeline(TEXTS, top_k=top_k), theirs(TEXTS, top_k=top_k))


def test_a_pair(opened: Opened) -> None:
    model, theirs = opened("text-classification", "SequenceClassification", pairs=("text", "text_pair"), num_labels=2)
    pair = (TEXTS[0], "a meal")
    given = {"text": pair[0], "text_pair": pair[1]}
    assert_same(model.pipeline(pair), theirs(given))
    # Iteration over a dictionary would answer its keys.
    with pytest.raises(TextError, match="text is dict"):
        model.pipeline(given)  # type: ignore[arg-type]


def test_entities(opened: Opened) -> None:
    # Only rows of tags that the scheme allows: EdgeBERT never answers others, but transformers does.
    names = {0: "O", 1: "B-PER", 2: "B-LOC"}
    labels = {"id2label": names, "label2id": {name: at for at, name in names.items()}}
    model, theirs = opened("token-classification", "TokenClassification", **labels)
    found = theirs(TEXTS, aggregation_strategy="first")
    assert any(found)
    for text, ours, expected in zip(TEXTS, model.pipeline(TEXTS), found, strict=True):
        assert [list(each) for each in ours] == [list(each) for each in expected]
        for name in ("entity_group", "word", "start", "end"):
            assert [each[name] for each in ours] == [each[name] for each in expected]
        # A type's probability is the sum over its tags, so it is never below that of the most likely tag.
        assert all(one["score"] >= other["score"] - 1e-6 for one, other in zip(ours, expected, strict=True))
        assert model.pipeline(text) == ours


def test_an_answer(opened: Opened) -> None:
    """In the format of transformers 4, because version 5 has no pipeline for questions."""
    model, _ = opened("feature-extraction", "QuestionAnswering", pairs=("question", "context"))
    context = "the story was so bad and cold but a good film"
    asked = ("was the film good", context)
    found, same = model.pipeline(asked), model(asked)
    assert found == {"score": same.score, "start": same.start, "end": same.end, "answer": same.answer}
    assert context[found["start"] : found["end"]] == found["answer"]
    assert model.pipeline([asked, asked]) == [found, found]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_masks(family: str, opened: Opened) -> None:
    model, theirs = opened("fill-mask", "MaskedLM", family)
    special, mask = theirs.tokenizer.all_special_ids, theirs.tokenizer.mask_token
    for text in (f"a {mask} film", f"the {mask} was {mask}"):
        found = theirs(text, top_k=60)
        rows = found if isinstance(found[0], list) else [found]
        kept = [[one for one in row if one["token"] not in special][:5] for row in rows]
        ours = model.pipeline(text)
        assert_same(ours, kept if isinstance(found[0], list) else kept[0])


def test_what_no_pipeline_answers_is_refused(opened: Opened) -> None:
    names = {0: "O", 1: "B-PER"}
    model, _ = opened("token-classification", "TokenClassification", id2label=names)
    with pytest.raises(InputError, match="does not rank labels; leave it out"):
        model.pipeline(TEXTS[0], top_k=2)
    for wrong in (0, True, "all", 1.5):
        with pytest.raises(InputError, match=r"top_k is .*; give a whole number of 1 or more, or None for all labels"):
            model.pipeline(TEXTS[0], top_k=wrong)  # type: ignore[arg-type]


def test_vectors_have_no_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("texts.txt").write_text("\n".join(TEXTS) + "\n")
    make_whole(Path("model"), "bert", "", num_hidden_layers=1)
    exported = edgebert.export("model", out="bundle", text="texts.txt", precision="fp32", pooling="mean")
    with pytest.raises(InputError, match="transformers has no pipeline for similarity; call the model"):
        edgebert.load(exported.bundle).pipeline(TEXTS[0])
