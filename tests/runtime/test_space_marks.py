"""Vocabularies with a token for a space: no entity or answer is empty or blank, for any scores."""

import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from edgebert.data.words import Words
from edgebert.errors import TextError
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.tagging import Settings, Tagger
from edgebert.tasks.intent_slots.predict import IntentSlots
from edgebert.tasks.question_answering.predict import QuestionAnswering

SPECIAL = ["<s>", "</s>", "<unk>"]
TAGS = ["O", "B-x", "I-x"]
KINDS = ["wordpiece", "byte-level", "byte-level with spaces", "unigram"]
SPACES = ["", " ", "   ", "\n", "\t ", "\x0c", "\u2028", "\xa0"]
MARKS = ["▁", "Ġ", "a", "bc"]


def tokenizer_of(kind: str) -> Tokenizer:
    if kind == "wordpiece":
        pieces = [*SPECIAL, *string.ascii_lowercase, *(f"##{each}" for each in string.ascii_lowercase)]
        tokenizer = Tokenizer(models.WordPiece({each: at for at, each in enumerate(pieces)}, unk_token="<unk>"))
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    elif kind == "unigram":
        letters = [(each, -3.0) for each in string.ascii_lowercase]
        pairs = [*((each, 0.0) for each in SPECIAL), ("▁", -2.0), *letters, ("▁a", -1.0)]
        tokenizer = Tokenizer(models.Unigram(pairs, unk_id=2))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    else:
        trims = kind == "byte-level"
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {each: at for at, each in enumerate([*SPECIAL, *alphabet, "Ġa", "ĠĠ"])}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", "a"), ("Ġ", "Ġ")]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=trims)
        tokenizer.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=trims)
    tokenizer.add_special_tokens(SPECIAL)
    if tokenizer.post_processor is None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
        )
    return tokenizer


@pytest.fixture(params=KINDS)
def encoder(request: pytest.FixtureRequest, tmp_path: Path) -> TextEncoder:
    tokenizer_of(request.param).save(str(tmp_path / "tokenizer.json"))
    return TextEncoder(tmp_path / "tokenizer.json", 16)


def answers(encoder: TextEncoder, context: str, draws: int = 20) -> list[Any]:
    """Answers with random scores, low at [CLS]."""
    task = QuestionAnswering(facts_of({"head": {"settings": {"stride": 4}}}), encoder)
    windows = task.encode(("a", context))
    random = np.random.default_rng(0)
    outputs = [[(random.normal(size=(2, len(window.ids)))) for window in windows] for _ in range(draws)]
    return [task.decode(("a", context), windows, [tuple(each) for each in drawn]) for drawn in outputs]


@pytest.mark.parametrize(
    "context",
    [
        "  a",
        "a  b ",
        "▁",
        "Ġ",
        "a ▁ b",
        "\n\na\n\n",
        "a" + " " * 80,
        " " * 80 + "bc",
        "a\x0cb\u2028c",
        "bc \xa0 ▁▁ a",
    ],
)
def test_an_answer_has_a_character_and_no_space_at_its_ends(encoder: TextEncoder, context: str) -> None:
    for found in answers(encoder, context):
        assert found.start < found.end
        assert found.answer == context[found.start : found.end] == found.answer.strip()


@pytest.mark.parametrize("context", [" ", "   ", "\n\t", "\u2028\x0c", " " * 90])
def test_a_context_of_white_space_holds_no_answer(encoder: TextEncoder, context: str) -> None:
    with pytest.raises(TextError, match="holds no token; give at least one word"):
        answers(encoder, context)


def tagged(encoder: TextEncoder, given: Words | str, seed: int) -> Any:
    tagger = Tagger(TAGS, (), Settings(stride=4), encoder)
    windows = tagger.encode(given)
    random = np.random.default_rng(seed)
    scores = [random.normal(size=(len(window.ids), 3)).astype(np.float32) - [9.0, 0.0, 0.0] for window in windows]
    return tagger.read(given, windows, scores)


@pytest.mark.parametrize("seed", range(6))
def test_an_entity_has_a_character_and_no_space_at_its_ends(encoder: TextEncoder, seed: int) -> None:
    random = np.random.default_rng(seed)
    words = Words((*(str(each) for each in random.choice(SPACES + MARKS, 12)), "a"))
    found = tagged(encoder, words, seed)
    assert found.entities
    for entity in found.entities:
        assert entity.start < entity.end
        assert entity.text == str(words)[entity.start : entity.end] == entity.text.strip()
    assert {tag for word, tag in zip(words.words, found.tags, strict=True) if not word.strip()} <= {"O"}


@pytest.mark.parametrize("text", ["▁", "Ġ", "a ▁ b", "▁▁a", "a\x0c▁\u2028b"])
def test_a_raw_text_of_space_marks_has_whole_entities(encoder: TextEncoder, text: str) -> None:
    entities = tagged(encoder, text, 0).entities
    assert all(entity.text == text[entity.start : entity.end] != "" for entity in entities)


@pytest.mark.parametrize("words", [("",), (" ",), ("\n", " ")])
def test_words_of_white_space_alone_are_refused(encoder: TextEncoder, words: tuple[str, ...]) -> None:
    manifest = {"head": {"settings": {}, "tags": TAGS}, "labels": ["a"], "data": {}}
    with pytest.raises(TextError, match="holds no token; give at least one word"):
        IntentSlots(facts_of(manifest), encoder).encode(Words(words))
