"""Unigram tokenizers in their usual folders: transformers' ids, exact spans, the same tokens after a cut."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from family_checkpoints import UNIGRAM, make_whole
from manifests import facts_of
from tokenizers import Tokenizer
from unigram_tokenizers import write
from vocabulary_cuts import cut, data_of, examples, outputs

from edgebert.compress import checkpoint
from edgebert.compress.pieces import always_kept
from edgebert.runtime.encode import TextEncoder
from edgebert.tasks.question_answering.predict import QuestionAnswering

TEXTS = [
    "the film was good",
    "  a  great\tfilm ,\nso bad  ",
    "été e\u0301te\u0301 naïve \u00a0 ﬁn\u00adal １２Ａ",
    "日本語 日本 film日本",
    "🙂 film🙂🙂 ㌀ \u200b x\u200by",
    "▁ the ▁film ▁▁",
    "so <mask> film<mask> </s> <unk> bad",
    "한국어 ☃ ☃☃good",
    "\u3000全角\u3000 🏳️‍🌈 ½",
]
WORDS = [("the", "film", "is", "bad"), ("ﬁn", "日本", "🙂", "☃"), (" good", "a-b", "ni ce", "."), ("e\u0301te\u0301",)]


@pytest.fixture(params=UNIGRAM)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with a head of two labels whose tokenizer transformers 4 wrote."""
    return folder_of(tmp_path, request.param)


def folder_of(root: Path, family: str, splits: bool = True) -> Path:
    written = write(root / "tokenizer", family if family in UNIGRAM else "xlm-roberta", splits)
    general = transformers.PreTrainedTokenizerFast(tokenizer_object=written, pad_token="<pad>")
    folder = make_whole(root / "model", family, tokenizer=general, num_hidden_layers=1, pad_token_id=1)
    for name in (path.name for path in (root / "tokenizer").iterdir()):
        (folder / name).write_bytes((root / "tokenizer" / name).read_bytes())
    return folder


def encoder_of(folder: Path, out: Path, length: int = 64) -> TextEncoder:
    checkpoint.load_tokenizer(folder).backend_tokenizer.save(str(out))
    return TextEncoder(out, length)


def test_texts_pairs_and_words_have_the_ids_that_transformers_gives(
    source: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours, theirs = encoder_of(source, tmp_path / "t.json"), transformers.AutoTokenizer.from_pretrained(source)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text)["input_ids"]
        assert ours.encode_pair(text, "a film").ids == theirs(text, "a film")["input_ids"]
    assert ours.encode_pair("a", "a").ids.count(theirs.sep_token_id) == 3
    for words in WORDS:
        (window,), expected = ours.encode_words(words, 4), theirs(list(words), is_split_into_words=True)
        assert window.ids == expected["input_ids"]
        assert list(window.words) == expected.word_ids()
    assert "normalizer" not in caplog.text
    assert "added-tokens" not in caplog.text


def test_a_file_without_its_split_at_white_space_is_kept_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = folder_of(tmp_path, "xlm-roberta", splits=False)
    ours, file = encoder_of(folder, tmp_path / "t.json"), Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert "normalizer, pre-tokenizer of the file differ from what transformers" in caplog.text
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    assert all(ours.encode(text).ids == file.encode(text).ids for text in TEXTS)
    assert ours.encode("a film ").ids != theirs("a film ")["input_ids"], "transformers reads the file: drop this test"


@pytest.mark.parametrize("splits", [True, False])
def test_an_answer_neither_starts_nor_ends_at_white_space(splits: bool, tmp_path: Path) -> None:
    write(tmp_path, "xlm-roberta", splits)
    encoder = TextEncoder(tmp_path / "tokenizer.json", 24)
    task = QuestionAnswering(facts_of({"head": {"settings": {"stride": 4}}}), encoder)
    random = np.random.default_rng(0)
    for context in TEXTS:
        windows = task.encode(("a film", context))
        for _ in range(30):
            drawn: list[Any] = [tuple(random.normal(size=(2, len(window.ids)))) for window in windows]
            found = task.decode(("a film", context), windows, drawn)
            assert found.answer == context[found.start : found.end] == found.answer.strip() != ""


def test_the_corpus_has_the_same_pieces_and_answers_after_a_cut(source: Path, tmp_path: Path) -> None:
    data = data_of(train=examples(TEXTS))
    report = cut(source, tmp_path / "small", data)
    assert report.metrics["pieces"] < report.metrics["pieces_before"]
    assert report.metrics["corpus_changed"] == 0.0
    whole, small = (Tokenizer.from_file(str(folder / "tokenizer.json")) for folder in (source, tmp_path / "small"))
    for text in TEXTS:
        old, new = whole.encode(text, TEXTS[0]), small.encode(text, TEXTS[0])
        assert (new.tokens, new.offsets, new.type_ids) == (old.tokens, old.offsets, old.type_ids)
        assert new.special_tokens_mask == old.special_tokens_mask
    before, after = (outputs(folder, data, examples(TEXTS)) for folder in (source, tmp_path / "small"))
    assert all(np.abs(ours - theirs).max() <= 1e-6 for (ours,), (theirs,) in zip(after, before, strict=True))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "small")
    assert all(theirs(text)["input_ids"] == small.encode(text).ids for text in TEXTS)
    assert theirs.pad_token_id == 1
    assert theirs.mask_token_id == len(theirs) - 1


def test_the_score_of_an_unknown_character_stays(tmp_path: Path) -> None:
    vocabulary = [["<unk>", 0.0], ["a", -1.0], ["b", -2.0], ["ab", -30.0], ["☃a", -39.5], ["b☃", -35.0]]
    document: dict[str, Any] = {"model": {"type": "Unigram", "vocab": vocabulary, "unk_id": 0}, "added_tokens": []}
    # Of ☃ the vocabulary has no piece of its own, so what holds it stays; the smallest score is one of them.
    assert always_kept(document) == {0, 1, 2, 4, 5}
    document["model"]["vocab"] = [*vocabulary[:3], ["ab", -50.0], ["aab", -3.0]]
    assert always_kept(document) == {0, 1, 2, 3}
    document["model"] |= {"byte_fallback": True, "vocab": [*vocabulary[:3], ["<0x61>", -4.0], ["ab", -3.0]]}
    assert always_kept(document) == {0, 1, 2, 3}


def test_a_bert_with_this_tokenizer_has_no_segments(tmp_path: Path) -> None:
    """As multilingual MiniLM and E5 are published: BERT's model, XLM-RoBERTa's tokenizer."""
    folder = folder_of(tmp_path, "bert")
    checkpoint.check_folder(folder)
    ours = encoder_of(folder, tmp_path / "t.json")
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        window = ours.encode_pair(text, "a film")
        assert window.ids == theirs(text, "a film")["input_ids"]
        assert not any(window.type_ids)
    report = cut(folder, tmp_path / "small", data_of(train=examples(TEXTS)))
    assert report.metrics["corpus_changed"] == 0.0
    assert json.loads((tmp_path / "small" / "config.json").read_text())["vocab_size"] == report.metrics["pieces"]
