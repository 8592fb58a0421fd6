"""Which words are kept, and what the report says about texts whose tokens change."""

from pathlib import Path

import pytest
import transformers
from conftest import WORDS
from family_checkpoints import LETTERS, SPECIAL, make_whole
from tokenizers.pre_tokenizers import ByteLevel
from vocabulary_cuts import CORPUS, OTHER, cut, data_of, examples, run_of

from edgebert.compress import checkpoint
from edgebert.compress.vocabulary import choose, cut_vocabulary, ordered
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import VocabularySettings
from edgebert.runtime.encode import TextEncoder


def test_the_report_tells_what_other_texts_feel(whole_folders: dict[str, Path], tmp_path: Path) -> None:
    data = data_of(validation=examples(OTHER), test=examples(["a film", "été 日"]))
    report = cut(whole_folders["bert"], tmp_path, data)
    # "warm meal" and "lovely song is very bad" are spelt out now; 日 was unknown and still is.
    assert report.metrics["validation_changed"] == round(2 / 3, 6)
    assert report.metrics["validation_unknown"] == report.metrics["validation_unknown_before"] == 0.0
    assert report.metrics["test_changed"] == 0.0
    assert report.metrics["test_unknown"] == report.metrics["test_unknown_before"] == round(1 / 6, 6)
    # Special tokens, letters at the start of a word and inside one, and the words longer than a letter.
    words = {word for text in CORPUS for word in text.lower().replace(",", "").split()} & {*WORDS} - {"a"}
    assert report.metrics["pieces"] == len(SPECIAL) + 2 * len(LETTERS) + len(words)
    assert report.arguments == {"corpus": [], "minimum_count": 1, "size": 0, "keep": [], "rank": 0}


def test_words_of_the_corpus_files_and_of_the_recipe_stay(whole_folders: dict[str, Path], tmp_path: Path) -> None:
    data = data_of(validation=examples(OTHER), corpus=examples(["very lovely"]))
    report = cut(whole_folders["bert"], tmp_path, data, keep=("warm", "meal"))
    small = TextEncoder(tmp_path / "tokenizer.json", 32)
    assert all(small.token_id(word) is not None for word in ("very", "lovely", "warm", "meal"))
    assert small.token_id("awful") is None
    assert report.metrics["validation_changed"] == round(1 / 3, 6)


def test_rare_pieces_go_where_the_recipe_says_so(whole_folders: dict[str, Path], tmp_path: Path) -> None:
    report = cut(whole_folders["bert"], tmp_path / "two", minimum_count=2)
    small = TextEncoder(tmp_path / "two" / "tokenizer.json", 32)
    assert all(small.token_id(word) is not None for word in ("good", "film", "the", "dull", "and", "a"))
    assert all(small.token_id(word) is None for word in ("story", "was", "so", "cold", "poor"))
    assert report.metrics["corpus_changed"] == 0.5
    assert report.metrics["corpus_unknown"] < report.metrics["corpus_unknown_before"], "the same, of more pieces"
    report = cut(whole_folders["bert"], tmp_path / "size", size=59)
    small = TextEncoder(tmp_path / "size" / "tokenizer.json", 32)
    assert report.metrics["pieces"] == 59
    assert [word for word in WORDS if small.token_id(word) is not None] == ["good", "the", "a"]
    with pytest.raises(SettingsError, match=r"vocabulary\.size is 56, but .* are 57 tokens; give at least that"):
        cut(whole_folders["bert"], tmp_path / "small", size=56)


def test_a_piece_of_bytes_comes_with_its_parts_or_not_at_all() -> None:
    parts = {1: {1}, 2: {2}, 3: {1, 2, 3, 7}, 4: {4, 8}, 5: {5}}
    settings = VocabularySettings(size=5)
    assert choose({3: 9, 4: 8, 5: 7}, {1, 2}, parts.__getitem__, settings) == {1, 2, 3, 7, 5}
    assert choose({3: 9, 4: 8, 5: 7}, {1, 2}, parts.__getitem__, VocabularySettings(minimum_count=9)) == {1, 2, 3, 7}


def test_where_positions_count_from_padding_it_keeps_its_id(whole_folders: dict[str, Path]) -> None:
    config = checkpoint.load_config(whole_folders["roberta"])
    assert ordered({0, 1, 2, 3, 9, 300}, config) == [0, 1, 2, 3, 9, 300]
    config.pad_token_id = 3
    assert ordered({0, 3, 7, 8, 9}, config) == [0, 7, 8, 3, 9]
    config.pad_token_id = 9
    with pytest.raises(CheckpointError, match="padding has the id 9, from which positions are counted"):
        ordered({0, 3, 9}, config)
    with pytest.raises(CheckpointError, match=r"a token with the id 9999, but config\.json states a word table"):
        ordered({0, 9999}, config)


def test_a_text_that_is_cut_inside_a_word_keeps_the_pieces_before(tmp_path: Path) -> None:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *sorted(ByteLevel.alphabet()), "xy", "px", "qq"]
    tokenizer = transformers.RobertaTokenizer(
        vocab={piece: number for number, piece in enumerate(pieces)}, merges=[("x", "y"), ("p", "x"), ("q", "q")]
    )
    source = make_whole(tmp_path / "source", "roberta", tokenizer=tokenizer)
    # Of "pxy" the device reads "p" alone; were "xy" not counted, it would be dropped, and "px" read.
    data = data_of(train=examples(["px", "pxy"]))
    report = cut_vocabulary(source, data, VocabularySettings(), run_of(max_length=3), tmp_path / "small")
    assert report.metrics["corpus_changed"] == 0.0
    assert report.metrics["pieces"] == len(pieces) - 1
    small = TextEncoder(tmp_path / "small" / "tokenizer.json", 3)
    assert small.token(small.encode("pxy").ids[1]) == "p"
