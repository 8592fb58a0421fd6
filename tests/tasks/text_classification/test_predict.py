"""Text classification on the device: texts or pairs to labels and scores; labels of files to numbers."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

import edgebert
from edgebert.data.examples import Columns, Example
from edgebert.errors import DataError, TextError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Model
from edgebert.tasks.text_classification.predict import Classification, TextClassification
from edgebert.tasks.text_classification.spec import Settings, read

TEXTS = [
    "a good film",
    "the story was awful and cold and so very poor",
    "song",
    "warm meal and lovely play and a great story",
    "dull",
]


@pytest.fixture(scope="module")
def model(built: Path) -> Model:
    return edgebert.load(built)


class CountingSession:
    """Answers with each text's number of tokens, zero, and its number of tokens in the second segment."""

    batching = ANY_LENGTHS

    def run(self, inputs: dict[str, Any]) -> Any:
        tokens = inputs["attention_mask"].sum(1)
        figures = [tokens, np.zeros_like(tokens), inputs["token_type_ids"].sum(1)]
        return (np.stack(figures, axis=1).astype(np.float32),)


@pytest.fixture
def pairs(tmp_path: Path) -> Model:
    """A hand-made bundle that compares pairs, truncated to eight tokens."""
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    manifest = {"labels": ["x", "y", "z"], "inputs": inputs, "segments": 2, "head": {"settings": {}}, "data": {}}
    return Model(
        facts_of(manifest),
        TextClassification(facts_of(manifest), TextEncoder(tmp_path / "tokenizer.json", 8)),
        CountingSession(),
    )


def test_one_text_gives_one_prediction(model: Model) -> None:
    answer = model(TEXTS[0])
    assert list(answer.scores) == ["neg", "pos"]
    assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-6)
    assert answer.label == max(answer.scores, key=answer.scores.__getitem__)
    assert answer.score == answer.scores[answer.label]
    assert answer.truncated is False


def test_a_prediction_is_a_line_and_plain_json(model: Model) -> None:
    assert str(Classification("pos", 0.98765, {"neg": 0.01235, "pos": 0.98765}, False)) == "pos\t0.9877"
    answer = model(TEXTS[0])
    assert Classification(**json.loads(json.dumps(asdict(answer)))) == answer


def test_the_label_is_the_largest_logit(model: Model) -> None:
    logits = np.array([row[0] for row in model.raw(TEXTS)])
    assert logits.shape == (5, 2)
    assert [answer.label for answer in model(TEXTS)] == [model.labels[at] for at in logits.argmax(1)]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = [list(answer.scores.values()) for answer in model(TEXTS)]
    assert np.array(found) == pytest.approx(expected, abs=1e-5)


def test_huge_logits_have_scores_too() -> None:
    task = TextClassification(
        facts_of({"labels": ["x", "y"], "segments": 1, "head": {"settings": {}}, "data": {}}), None
    )
    answer = task.decode("a", [Encoded([], [])], [(np.array([1000.0, -1000.0], dtype=np.float32),)])
    assert (answer.label, answer.scores) == ("x", {"x": 1.0, "y": 0.0})


def test_the_model_tells_nice_words_from_nasty_ones(model: Model) -> None:
    assert [answer.label for answer in model(TEXTS[:2])] == ["pos", "neg"]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    "text",
    [
        "good 🙂 film",
        "🙂",
        "go\u200dod",
        "go\x00od fi\x07lm",
        "e\u0301te\u0301",
        "電影很好",
        "\ufeffgood",
        "good" * 200,
    ],
)
def test_emoji_control_characters_and_other_scripts_are_texts(built: Path, runtime: str, text: str) -> None:
    answer = edgebert.load(built, runtime=runtime)(text)
    assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-6)


def test_a_text_of_a_hundred_thousand_words_is_cut_and_says_so(model: Model) -> None:
    long = model("good film " * 50_000)
    assert long.truncated is True
    assert [answer.truncated for answer in model(["good film", "good film " * 50_000])] == [False, True]
    limit = model.manifest.max_length
    assert model(" ".join(["film"] * (limit - 2))).truncated is False
    assert model(" ".join(["film"] * (limit - 1))).truncated is True


@pytest.mark.parametrize("wrap", [lambda text: text, lambda text: [text], lambda text: ["good", text]])
@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["''", "no token"]),
        (" \t\n ", ["no token"]),
        ("\u200b\x00", ["no token"]),
        ("good \ud83d film", ["lone surrogate", "'\\ud83d'", "character 5"]),
        (5, ["int 5", "give"]),
        (None, ["NoneType None", "give"]),
        (b"good", ["bytes b'good'", "give"]),
        (("good", "bad"), ["pair", "single texts"]),
        (("good", "bad", "film"), ["tuple of 3"]),
    ],
)
def test_what_is_no_text_is_refused_with_its_value(
    model: Model, wrap: Callable[[Any], Any], text: Any, parts: list[str]
) -> None:
    with pytest.raises(TextError) as caught:
        model(wrap(text))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_pair_bundle_takes_pairs_only(pairs: Model) -> None:
    assert pairs.raw([("a", "b b")])[0][0].tolist() == [6, 0, 3]
    assert [answer.truncated for answer in pairs([("a", "b"), ("a b a b", "b a b a")])] == [False, True]
    with pytest.raises(TextError, match=r"single text 'a' .*compares pairs"):
        pairs("a")


@pytest.mark.parametrize(
    ("pair", "fact"),
    [(("a", None), "text pair is NoneType None"), (("a", 5), "text pair is int 5"), ((None, "a"), "text is NoneType")],
)
def test_a_pair_with_a_part_that_is_no_text_is_refused(pair: Any, fact: str, pairs: Model) -> None:
    with pytest.raises(TextError, match=fact):
        pairs(pair)


def task_of(**manifest: Any) -> TextClassification:
    usual = {"labels": ["negative", "positive"], "segments": 1, "data": {"label_values": ["0", "1"]}}
    manifest = usual | {"head": {"settings": {}}} | manifest
    return TextClassification(facts_of(manifest), None)


def test_labels_may_be_the_bundles_or_the_datas() -> None:
    task = task_of()
    examples = [Example("x", None, label, 2) for label in ("positive", "0", "1", "negative")]
    assert [task.expected(example) for example in examples] == [1, 0, 1, 0]
    assert task_of(data={}).expected(examples[0]) == 1
    assert task.predicted(Classification("positive", 0.9, {}, False)) == 1


@pytest.mark.parametrize(
    ("label", "fact"),
    [("neutral", "unknown label 'neutral'"), ("Positive", "unknown label 'Positive'"), (None, "no label")],
)
def test_an_unknown_label_is_told_with_its_line_and_the_known_ones(label: str | None, fact: str) -> None:
    with pytest.raises(DataError) as caught:
        task_of().expected(Example("y", None, label, 5, "d.tsv"))
    assert str(caught.value) == f"d.tsv: line 5: {fact}; expected one of: negative, positive"
    assert caught.value.exit_code == 2


def test_rows_of_a_file_are_what_a_caller_would_ask(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("one\ttwo\tsame\na b\tc\tyes\n")
    (row,) = read(tmp_path / "d.tsv", Columns("one", "two", "same"), Settings())
    assert task_of(segments=2).given(row) == ("a b", "c")
    (row,) = read(tmp_path / "d.tsv", Columns("one", "", "same"), Settings())
    assert (task_of().given(row), row.label) == ("a b", "yes")
