"""Words and raw texts of a tagger get the ids of transformers, for every kind of tokenizer."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from family_checkpoints import BERT_LIKE, UNIGRAM
from split_tokenizers import BYTES, METASPACE, make
from tokenizers import AddedToken

from edgebert.compress.stated import with_spaces
from edgebert.compress.tokenizer_file import load_tokenizer
from edgebert.data.examples import Columns
from edgebert.data.words import Words, split_words
from edgebert.recipe import ModelSettings, Recipe
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.tagged_rows import read_tagged
from edgebert.runtime.tagging import Settings, Tagger

SENTENCES = [("the", "film", "is", "bad"), (" good", "play", ".", "so"), ("a-b", "(the", "sto ry)", "was"), ("film",)]
TEXTS = ["the film is bad", "so good.", "a great film, (the story) was dull", "it is the-film"]
TEXTS += ["the  film   is\tbad ", " so good", "film\nfilm\u00a0film", "the\u200bfilm \u0001 was", "日本 film日"]
RECIPE = Recipe("tags", "token-classification", ModelSettings("x"))


def tagger_ids(tagger: Tagger, given: str | Words) -> list[int]:
    (window,) = tagger.encode(given)
    return window.ids


def tagger_of(folder: Path) -> Tagger:
    """A tagger as exported from a checkpoint with a head."""
    loaded = load_tokenizer(folder)
    settings = Settings(**with_spaces(RECIPE, folder, loaded).head)
    loaded.backend_tokenizer.save(str(folder / "written.json"))
    return Tagger(["O", "B-a"], (), settings, TextEncoder(folder / "written.json", 64))


@pytest.mark.parametrize("kind", [*BYTES, *METASPACE, *BERT_LIKE, *UNIGRAM])
def test_words_have_the_ids_that_transformers_gives_words(kind: str, tmp_path: Path) -> None:
    make(tmp_path, kind)
    theirs, ours = transformers.AutoTokenizer.from_pretrained(tmp_path), tagger_of(tmp_path)
    for words in SENTENCES:
        expected = theirs(list(words), is_split_into_words=True)
        (window,) = ours.encode(Words(words))
        assert window.ids == expected["input_ids"]
        assert list(window.words) == expected.word_ids()


@pytest.mark.parametrize("kind", [*BYTES, *METASPACE, *BERT_LIKE, *UNIGRAM])
def test_a_raw_text_has_the_ids_that_transformers_gives_it(kind: str, tmp_path: Path) -> None:
    make(tmp_path, kind)
    theirs, ours = transformers.AutoTokenizer.from_pretrained(tmp_path), tagger_of(tmp_path)
    for text in TEXTS:
        (window,) = ours.encode(text)
        assert window.ids == theirs(text)["input_ids"]


def add_tokens(folder: Path) -> Any:
    """All kinds of added tokens: stripped of spaces on either side, as whole words, in any case."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens([AddedToken("[E1]", normalized=False), AddedToken("<e1>", normalized=True)])
    tokenizer.add_tokens([AddedToken("@user", lstrip=True), AddedToken("#url", rstrip=True)])
    tokenizer.add_tokens([AddedToken("is", single_word=True)])
    tokenizer.save_pretrained(folder)
    return transformers.AutoTokenizer.from_pretrained(folder)


WITH_TOKENS = [
    "good SEP film",
    "goodSEPfilm SEP",
    "SEP SEP",
    "MASK the film MASK bad",
    "the [E1] film [E1]bad so <e1>",
    "[E1][E1] good  [E1] film",
    " [E1] good",
    "the @user film",
    "#url #url the film #url bad",
    "is it this film is",
]


@pytest.mark.parametrize(
    "kind",
    ["byte-level bare", "sequence bare", "roberta bare", "byte-level adds", "roberta adds", *BERT_LIKE, *UNIGRAM],
)
def test_an_added_token_in_a_raw_text_is_one_word_with_the_id_that_transformers_gives(
    kind: str, tmp_path: Path
) -> None:
    make(tmp_path, kind)
    theirs = add_tokens(tmp_path)
    ours = tagger_of(tmp_path)
    for text in [*WITH_TOKENS, *(["bad <E1> film [SEP]"] if kind in BERT_LIKE else [])]:
        text = text.replace("SEP", theirs.sep_token).replace("MASK", theirs.mask_token or theirs.cls_token)
        (window,) = ours.encode(text)
        assert window.ids == theirs(text)["input_ids"], text
        written, places = ours.words_of(text)
        words = [written[first:end] for first, end in places]
        assert words == text.replace(theirs.sep_token, f" {theirs.sep_token} ").replace("[E1]", " [E1] ").split()
        assert None not in ours.places(text, [window])


def test_rows_of_a_data_file_are_split_as_the_raw_text(tmp_path: Path) -> None:
    make(tmp_path, "bert")
    add_tokens(tmp_path)
    tagger, text = tagger_of(tmp_path), "good [SEP] film,[E1]bad"
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": text, "entities": [{"label": "a", "start": 16, "end": 20}]}) + "\n")
    find = TextEncoder(tmp_path / "written.json", 64).added_tokens.find
    (row,) = read_tagged(path, Columns(), Settings(), False, find)
    assert row.words == ("good", "[SEP]", "film", ",", "[E1]", "bad")
    assert row.label == ("O", "O", "O", "O", "B-a", "O")
    word_by_word = Tagger(["O", "B-a"], (), Settings(), TextEncoder(tmp_path / "written.json", 64))
    assert tagger_ids(word_by_word, Words(row.words)) == tagger_ids(tagger, text)


def test_a_text_without_added_tokens_is_split_as_before(tmp_path: Path) -> None:
    make(tmp_path, "bert")
    add_tokens(tmp_path)
    tagger = tagger_of(tmp_path)
    for text in (*TEXTS, "[SEP ] [E2] x@use-y", "日本 [MAS K]", "a\u0301 <e 1>"):
        assert tagger.words_of(text)[1] == split_words(text)


@pytest.mark.parametrize("kind", [*BYTES, *METASPACE, "bert"])
def test_the_convention_is_said_where_there_is_a_choice(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path, kind)
    tokenizer = load_tokenizer(tmp_path)
    capsys.readouterr()
    bare = kind.endswith("bare")
    whole = {"whole_texts": True}
    assert with_spaces(RECIPE, tmp_path, tokenizer).head == ({"spaced_words": False} | whole if bare else whole)
    said = capsys.readouterr().err
    assert ("words are encoded as they are" in said, said.count("\n")) == (bare, int(bare))
    stated = Recipe("tags", "token-classification", ModelSettings("x"), head={"spaced_words": True})
    assert with_spaces(stated, tmp_path, tokenizer).head == {"spaced_words": True, "whole_texts": not bare}
    word_by_word = Recipe("tags", "token-classification", ModelSettings("x"), head={"whole_texts": False})
    assert with_spaces(word_by_word, tmp_path, tokenizer).head["whole_texts"] is False


def test_words_of_a_model_trained_here_have_a_space_before_each(tmp_path: Path) -> None:
    make(tmp_path, "roberta bare")
    encoder = TextEncoder(tmp_path / "tokenizer.json", 64)
    spaced = Tagger(["O", "B-a"], (), Settings(), encoder).encode(Words(("the", "film")))
    make(tmp_path, "roberta adds")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert spaced[0].ids == theirs(["the", "film"], is_split_into_words=True)["input_ids"]
