"""Words and raw texts of a tagger have the ids that transformers gives them, whatever splits the checkpoint's texts."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from family_checkpoints import BERT_LIKE, PIECES, byte_pairs, make_tokenizer
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

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
RECIPE = Recipe("tags", "token-classification", ModelSettings("x"))


def byte_level(folder: Path, splitter: Any) -> None:
    vocabulary, merges = byte_pairs()
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    general(tokenizer, folder)


def unigram(folder: Path, scheme: str) -> None:
    letters = [(letter, -4.0) for letter in "abcdefghijklmnopqrstuvwxyz.-()"]
    words = [(f"▁{word}", -2.0) for word in ("the", "film", "is", "good", "a")]
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = Tokenizer(models.Unigram([*special, ("▁", -3.0), *letters, *words], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    general(tokenizer, folder)


def general(tokenizer: Tokenizer, folder: Path) -> None:
    names = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def in_sequence(add: bool) -> Any:
    split = pre_tokenizers.Split(Regex("[-]"), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=add)])


def make(folder: Path, kind: str) -> None:
    name, _, setting = kind.partition(" ")
    if name == "byte-level":
        byte_level(folder, pre_tokenizers.ByteLevel(add_prefix_space=setting == "adds"))
    elif name == "sequence":
        byte_level(folder, in_sequence(setting == "adds"))
    elif name == "metaspace":
        unigram(folder, setting)
    elif name == "roberta":
        vocabulary, merges = byte_pairs()
        transformers.RobertaTokenizer(
            vocab=vocabulary, merges=merges, add_prefix_space=setting == "adds"
        ).save_pretrained(folder)
    else:
        make_tokenizer(name, PIECES).save_pretrained(folder)


BYTES = ["byte-level adds", "byte-level bare", "sequence adds", "sequence bare", "roberta adds", "roberta bare"]
METASPACE = ["metaspace always", "metaspace first", "metaspace never"]


def tagger_of(folder: Path) -> Tagger:
    """A tagger as an export makes it of a checkpoint that has a head."""
    loaded = load_tokenizer(folder)
    settings = Settings(**with_spaces(RECIPE, folder, loaded).head)
    loaded.backend_tokenizer.save(str(folder / "written.json"))
    return Tagger(["O", "B-a"], (), settings, TextEncoder(folder / "written.json", 64))


@pytest.mark.parametrize("kind", [*BYTES, *METASPACE, *BERT_LIKE])
def test_words_have_the_ids_that_transformers_gives_words(kind: str, tmp_path: Path) -> None:
    make(tmp_path, kind)
    theirs, ours = transformers.AutoTokenizer.from_pretrained(tmp_path), tagger_of(tmp_path)
    for words in SENTENCES:
        expected = theirs(list(words), is_split_into_words=True)
        (window,) = ours.encode(Words(words))
        assert window.ids == expected["input_ids"]
        assert list(window.words) == expected.word_ids()


@pytest.mark.parametrize("kind", ["byte-level bare", "sequence bare", "roberta bare", *BERT_LIKE])
def test_a_raw_text_has_the_ids_that_transformers_gives_it(kind: str, tmp_path: Path) -> None:
    make(tmp_path, kind)
    theirs, ours = transformers.AutoTokenizer.from_pretrained(tmp_path), tagger_of(tmp_path)
    for text in TEXTS:
        (window,) = ours.encode(text)
        assert window.ids == theirs(text)["input_ids"]


def add_tokens(folder: Path) -> Any:
    """Tokens of every kind that may be added: stripped of spaces on either side, as whole words, in any case."""
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
    "kind", ["byte-level bare", "sequence bare", "roberta bare", "byte-level adds", "roberta adds", *BERT_LIKE]
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
        assert {number for number in window.words if number is not None} == set(range(len(words)))


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
    assert tagger.encode(Words(row.words)) == tagger.encode(text)


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
    assert with_spaces(RECIPE, tmp_path, tokenizer).head == ({"spaced_words": False} if bare else {})
    said = capsys.readouterr().err
    assert ("words are encoded as they are" in said, said.count("\n")) == (bare, int(bare))
    stated = Recipe("tags", "token-classification", ModelSettings("x"), head={"spaced_words": True})
    assert with_spaces(stated, tmp_path, tokenizer) is stated


def test_words_of_a_model_trained_here_have_a_space_before_each(tmp_path: Path) -> None:
    make(tmp_path, "roberta bare")
    encoder = TextEncoder(tmp_path / "tokenizer.json", 64)
    spaced = Tagger(["O", "B-a"], (), Settings(), encoder).encode(Words(("the", "film")))
    make(tmp_path, "roberta adds")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert spaced[0].ids == theirs(["the", "film"], is_split_into_words=True)["input_ids"]
