"""Texts in, labels and scores out: on a real bundle, and (order, batches, laziness) on a session made by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

import edgebert
from edgebert.errors import InputError, TextError
from edgebert.runtime.classifier import TextClassifier
from edgebert.runtime.encode import TextEncoder

TEXTS = [
    "a good film",
    "the story was awful and cold and so very poor",
    "song",
    "warm meal and lovely play and a great story",
    "dull",
]


@pytest.fixture(scope="module")
def model(built: Path) -> TextClassifier:
    return edgebert.load(built)


@pytest.fixture(scope="module")
def fp32(built: Path) -> TextClassifier:
    return edgebert.load(built.with_name(built.name + ".stages") / "1-graph")


class CountingSession:
    """Answers with each text's number of tokens, and notes the shapes that it was given."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: dict[str, Any]) -> Any:
        self.shapes.append(inputs["input_ids"].shape)
        tokens = inputs["attention_mask"].sum(1)
        return np.stack([tokens, np.zeros_like(tokens), inputs["token_type_ids"].sum(1)], axis=1).astype(np.float32)


@pytest.fixture
def by_hand(tmp_path: Path) -> Callable[[int], tuple[TextClassifier, CountingSession]]:
    def make(segments: int) -> tuple[TextClassifier, CountingSession]:
        tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        tokenizer.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
        )
        tokenizer.save(str(tmp_path / "tokenizer.json"))
        inputs = ["input_ids", "attention_mask", "token_type_ids"]
        manifest = {"labels": ["x", "y", "z"], "inputs": inputs, "segments": segments}
        session = CountingSession()
        return TextClassifier(manifest, TextEncoder(tmp_path / "tokenizer.json", 8), session), session

    return make


def test_one_text_gives_one_prediction(model: TextClassifier) -> None:
    answer = model(TEXTS[0])
    assert list(answer.scores) == ["neg", "pos"]
    assert sum(answer.scores.values()) == pytest.approx(1, abs=1e-6)
    assert answer.label == max(answer.scores, key=answer.scores.__getitem__)
    assert answer.score == answer.scores[answer.label]
    assert answer.truncated is False


def test_the_label_is_the_largest_logit(model: TextClassifier) -> None:
    logits = model.logits(TEXTS)
    assert logits.shape == (5, 2)
    assert [answer.label for answer in model(TEXTS)] == [model.labels[at] for at in logits.argmax(1)]
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = [list(answer.scores.values()) for answer in model(TEXTS)]
    assert np.array(found) == pytest.approx(expected, abs=1e-5)


def test_the_model_tells_nice_words_from_nasty_ones(model: TextClassifier) -> None:
    assert [answer.label for answer in model(TEXTS[:2])] == ["pos", "neg"]


@pytest.mark.parametrize("batch_size", [1, 2, 5, 32])
def test_a_list_is_answered_in_order_as_one_by_one(fp32: TextClassifier, batch_size: int) -> None:
    together = fp32(TEXTS, batch_size=batch_size)
    assert isinstance(together, list)
    for text, answer in zip(TEXTS, together, strict=True):
        alone = fp32(text)
        assert answer.label == alone.label
        assert answer.scores == pytest.approx(alone.scores, abs=1e-4)


def test_padding_does_not_change_logits(fp32: TextClassifier) -> None:
    alone = np.concatenate([fp32.logits([text]) for text in TEXTS])
    assert np.ptp(alone[:, 0]) > 0.5
    np.testing.assert_allclose(fp32.logits(TEXTS), alone, rtol=0, atol=1e-4)


def test_an_empty_list_is_answered_with_an_empty_one(model: TextClassifier) -> None:
    assert model([]) == []
    assert list(model(iter([]))) == []
    assert model.logits([]).shape == (0, 2)


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


def test_a_text_of_a_hundred_thousand_words_is_cut_and_says_so(model: TextClassifier) -> None:
    long = model("good film " * 50_000)
    assert long.truncated is True
    assert [answer.truncated for answer in model(["good film", "good film " * 50_000])] == [False, True]
    limit = model.manifest["max_length"]
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
    model: TextClassifier, wrap: Callable[[Any], Any], text: Any, parts: list[str]
) -> None:
    with pytest.raises(TextError) as caught:
        model(wrap(text))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def test_a_list_of_numbers_is_refused(model: TextClassifier) -> None:
    with pytest.raises(TextError, match="text is int 101; give a str"):
        model([101, 2204, 102])  # type: ignore[list-item]


@pytest.mark.parametrize("batch_size", [0, -1])
@pytest.mark.parametrize("kind", [list, iter])
def test_a_batch_of_less_than_one_text_is_refused(
    model: TextClassifier, batch_size: int, kind: Callable[[list[str]], Any]
) -> None:
    with pytest.raises(InputError, match=f"batch_size is {batch_size}"):
        list(model(kind(TEXTS), batch_size=batch_size))


def test_an_iterator_is_answered_lazily_one_batch_ahead(by_hand: Callable[..., Any]) -> None:
    taken: list[str] = []

    def texts() -> Iterator[str]:
        for at in range(10):
            taken.append("a " * (at + 1))
            yield taken[-1]

    model, _ = by_hand(1)
    answers = model(texts(), batch_size=3)
    assert taken == []
    first = next(answers)
    assert len(taken) == 3
    next(answers), next(answers)
    assert len(taken) == 3
    next(answers)
    assert len(taken) == 6
    assert first.truncated is False
    assert len(list(answers)) == 6


def test_texts_of_like_length_share_a_batch_and_answers_keep_their_order(by_hand: Callable[..., Any]) -> None:
    model, session = by_hand(1)
    texts = ["a", "a a a a a", "a a", "a a a a a", "a"]
    assert model.logits(texts, batch_size=2)[:, 0].tolist() == [3, 7, 4, 7, 3]
    assert session.shapes == [(2, 3), (2, 7), (1, 7)]


def test_a_pair_bundle_takes_pairs_only(by_hand: Callable[..., Any]) -> None:
    model, _ = by_hand(2)
    assert model.logits([("a", "b b")])[0].tolist() == [6, 0, 3]
    assert [answer.truncated for answer in model([("a", "b"), ("a b a b", "b a b a")])] == [False, True]
    with pytest.raises(TextError, match=r"single text 'a' .*compares pairs"):
        model("a")


@pytest.mark.parametrize(
    ("pair", "fact"),
    [(("a", None), "text pair is NoneType None"), (("a", 5), "text pair is int 5"), ((None, "a"), "text is NoneType")],
)
def test_a_pair_with_a_part_that_is_no_text_is_refused(pair: Any, fact: str, by_hand: Callable[..., Any]) -> None:
    model, _ = by_hand(2)
    with pytest.raises(TextError, match=fact):
        model(pair)


def test_logits_of_a_bare_string_are_refused(by_hand: Callable[..., Any]) -> None:
    """A string is a sequence of strings: its letters would be classified one by one."""
    model, _ = by_hand(1)
    with pytest.raises(TextError, match="list"):
        model.logits("a b")
