"""A raw text that is encoded as a whole has the entities of transformers' pipeline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from family_checkpoints import BERT_LIKE, FAMILIES, make_family
from manifests import facts_of
from split_tokenizers import BYTES, METASPACE, byte_level, make
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import edgebert
from edgebert.cli import main
from edgebert.data.examples import Columns
from edgebert.data.words import Words, split_words
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.tagged_rows import read_tagged
from edgebert.runtime.tagging import Settings, Tagger
from edgebert.tasks.token_classification.predict import TokenClassification

TEXTS = [
    "the film is bad",
    " a great  film,   the\tstory (so good) was dull. ",
    "it is\nthe-film, and warm;film",
    "a\u00a0poor story was",
]
RECIPE = """
name = "whole"
task = "token-classification"
[model]
source = "model"
[head]
stride = 4
[data]
unlabelled = ["texts.txt"]
max_length = LENGTH
[quantize]
format = "none"
[export]
stages = false
parity_samples = 2
"""


def checkpoint(folder: Path, kind: str, tags: tuple[str, ...] = ("A", "B", "C")) -> Path:
    """A tagger with this kind of tokenizer; every word has its own tag."""
    make(folder / "tokenizer", kind)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer")
    family = kind if kind in FAMILIES else "roberta" if kind.startswith("roberta") else "bert"
    names = {"id2label": dict(enumerate(tags)), "label2id": {tag: at for at, tag in enumerate(tags)}}
    # Ids of RoBERTa's padding are not those of BERT's.
    names |= {"pad_token_id": tokenizer.pad_token_id}
    return make_family(folder / "model", family, "TokenClassification", tokenizer=tokenizer, **names)


def tags_by_offsets(folder: Path, text: str) -> list[tuple[str, float]]:
    """For each word, tag and score of the pipeline's first token with a character of the word."""
    pipeline: Any = transformers.pipeline("token-classification", model=str(folder), tokenizer=str(folder), device=-1)
    tokens = pipeline(text, aggregation_strategy="none", ignore_labels=[])
    found = []
    for first, end in split_words(text):
        token = next(one for one in tokens if one["start"] < end and text[max(first, one["start"]) : one["end"]])
        found.append((token["entity"], float(token["score"])))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*BYTES, *METASPACE, *BERT_LIKE, "camembert"])
def test_every_word_has_the_tag_of_its_first_token_in_the_pipeline(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkpoint(tmp_path, kind)
    (tmp_path / "texts.txt").write_text("\n".join(text.replace("\n", " ") for text in TEXTS))
    (tmp_path / "r.toml").write_text(RECIPE.replace("LENGTH", "64"))
    monkeypatch.chdir(tmp_path)
    assert main(["export", "r.toml", "--out", "bundle"]) == 0
    model = edgebert.load("bundle")
    for text in TEXTS:
        expected, answer = tags_by_offsets(folder, text), model(text)
        assert [entity.label for entity in answer.entities] == [tag for tag, _ in expected]
        assert [entity.score for entity in answer.entities] == pytest.approx([score for _, score in expected], abs=1e-5)
        assert all(text[entity.start : entity.end] == entity.text for entity in answer.entities)


@pytest.fixture
def encoder(tmp_path: Path) -> TextEncoder:
    """An encoder with seven tokens per window; tokens are separated by spaces."""
    known = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "ann": 3, "(ann)": 4, "is": 5, "rome,": 6}
    tokenizer = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return TextEncoder(tmp_path / "tokenizer.json", 7)


TAGS = ["O", "B-PER", "I-PER"]


def read(tagger: Tagger, text: str, tags: dict[int, int]) -> list[tuple[str, str]]:
    """Entities of a text whose tokens have the tags with these ids."""
    windows = tagger.encode(text)
    scores = [np.eye(3, dtype=np.float32)[[tags.get(number, 0) for number in one.ids]] * 9 for one in windows]
    return [(entity.label, entity.text) for entity in tagger.read(text, windows, scores).entities]


def test_words_that_share_a_token_are_parts_of_one_entity(encoder: TextEncoder) -> None:
    tagger = Tagger(TAGS, (), Settings(whole_texts=True), encoder)
    assert read(tagger, "is (ann) is", {4: 1}) == [("PER", "(ann)")]
    assert read(tagger, "ann (ann) rome, is", {3: 1, 4: 2, 6: 1}) == [("PER", "ann (ann)"), ("PER", "rome,")]
    tagged = tagger.read("(ann)", windows := tagger.encode("(ann)"), [np.eye(3, dtype=np.float32)[[0, 1, 0]] * 9])
    assert (tagged.words, tagged.tags) == (("(", "ann", ")"), ("B-PER", "I-PER", "I-PER"))
    assert windows[0].ids == [1, 4, 2]


def test_the_first_letter_is_read_though_the_post_processor_trims_it(tmp_path: Path) -> None:
    byte_level(tmp_path, pre_tokenizers.ByteLevel(add_prefix_space=True), adds=False)
    encoder = TextEncoder(tmp_path / "tokenizer.json", 16)
    tagger = Tagger(TAGS, (), Settings(whole_texts=True), encoder)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)("a film", return_offsets_mapping=True)
    assert theirs["offset_mapping"][1] == (1, 1)
    assert tagger.places("a film", tagger.encode("a film")) == [(0, 1), (0, 2)]


def test_a_long_text_is_read_in_windows_as_its_words_are(encoder: TextEncoder) -> None:
    text = "is is ann is is ann is is ann is is is ann"
    whole = Tagger(TAGS, (), Settings(whole_texts=True, stride=2), encoder)
    by_words = Tagger(TAGS, (), Settings(stride=2), encoder)
    assert len(whole.encode(text)) > 2
    assert [one.ids for one in whole.encode(text)] == [one.ids for one in by_words.encode(text)]
    assert whole.places(text, whole.encode(text)) == by_words.places(text, by_words.encode(text))
    assert read(whole, text, {3: 1}) == read(by_words, text, {3: 1}) == [("PER", "ann")] * 4


def test_a_bundle_that_does_not_say_it_reads_word_by_word(encoder: TextEncoder) -> None:
    manifest: dict[str, Any] = {"labels": TAGS, "head": {"settings": {}}, "data": {}}
    (window,) = TokenClassification(facts_of(manifest), encoder).encode("is (ann)")
    assert window.ids == [1, 5, 0, 3, 0, 2]


def test_a_text_of_a_data_file_is_encoded_whole_and_words_one_by_one(encoder: TextEncoder, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = [
        {"text": "is  (ann) is", "entities": [{"label": "PER", "start": 5, "end": 8}]},
        {"words": ["is", "(ann)"], "tags": ["O", "B-PER"]},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    manifest: dict[str, Any] = {"labels": TAGS, "head": {"settings": {"whole_texts": True}}, "data": {}}
    task = TokenClassification(facts_of(manifest), encoder)
    raw, split = read_tagged(path, Columns(), task.settings, False)
    assert (task.given(raw), task.given(split)) == ("is  (ann) is", Words(("is", "(ann)")))
    assert task.expected(raw) == ("O", "O", "B-PER", "O", "O")
    assert len(task.tagger.places(task.given(raw), task.encode(task.given(raw)))) == len(raw.words)
    (word_by_word, _) = read_tagged(path, Columns(), Settings(), False)
    assert task.given(word_by_word) == Words(("is", "(", "ann", ")", "is"))
