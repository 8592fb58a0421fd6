"""Bundles of every family, tags, pairs and named labels give the answers of the checkpoint in transformers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import FAMILIES, PAIRED, make_whole

import edgebert
from edgebert.cli import main
from edgebert.data.words import Words

RECIPE = """
name = "answers"
task = "TASK"
[model]
source = "CHECKPOINT"
[data]
unlabelled = ["texts.DATA"]
text = "a"
max_length = 32
MORE
[quantize]
format = "none"
[export]
stages = false
baseline = false
parity_samples = 2
"""
SENTENCES = [("the", "good", "film"), ("a", "story", ".", "so", "bad"), ("was", "it", "cold-poor")]
NAMES = {"id2label": {0: "Ja, sicher", 1: "nein", 2: "2"}, "label2id": {"Ja, sicher": 0, "nein": 1, "2": 2}}


def export(folder: Path, task: str, data: str, more: str = "") -> tuple[int, Path]:
    rows = {
        "tsv": "a\tb\n" + "\n".join("\t".join(pair) for pair in PAIRED) + "\n",
        "jsonl": "\n".join(json.dumps({"a": " ".join(words)}) for words in SENTENCES) + "\n",
    }
    (folder / f"texts.{data}").write_text(rows[data])
    recipe = RECIPE.replace("CHECKPOINT", str(folder)).replace("TASK", task).replace("DATA", data)
    (folder / "recipe.toml").write_text(recipe.replace("MORE", more))
    out = folder.parent / "bundle"
    return main(["export", str(folder / "recipe.toml"), "--out", str(out)]), out


def probabilities(folder: Path, kind: str, *texts: Any, **options: Any) -> tuple[np.ndarray, Any]:
    model = getattr(transformers, f"AutoModelFor{kind}").from_pretrained(folder).eval()
    given = transformers.AutoTokenizer.from_pretrained(folder)(*texts, return_tensors="pt", **options)
    with torch.no_grad():
        return torch.softmax(model(**given).logits[0].double(), -1).numpy(), given


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_pair_has_the_probabilities_and_the_names_of_the_checkpoint(family: str, tmp_path: Path) -> None:
    folder = make_whole(tmp_path / "model", family, num_hidden_layers=1, **NAMES)
    code, bundle = export(folder, "text-classification", "tsv", 'text_pair = "b"')
    assert code == 0
    for pair, answer in zip(PAIRED, edgebert.load(bundle)(PAIRED, batch_size=1), strict=True):
        expected, _ = probabilities(folder, "SequenceClassification", *pair)
        assert list(answer.scores) == list(NAMES["id2label"].values())
        assert np.abs(np.array(list(answer.scores.values())) - expected).max() <= 1e-5
        assert answer.label == NAMES["id2label"][int(expected.argmax())]


TAGS = {
    "bio": ["B-PER", "O", "I-PER"],
    "words": ["NOUN", "VERB", "X"],
    "types": ["O", "PER", "Ort"],
    "extra": ["[CLS]", "O", "B-PER", "I-PER", "X"],
}


def entities(tags: Sequence[str], joins: bool) -> list[tuple[str, int, int]]:
    """Words of every entity: one each, or neighbours of one tag together."""
    found: list[tuple[str, int, int]] = []
    for at, tag in enumerate(tags):
        if joins and found and found[-1][0] == tag and found[-1][2] == at:
            found[-1] = (tag, found[-1][1], at + 1)
        elif tag != "O":
            found.append((tag, at, at + 1))
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "kind"), [(family, ("words", "types")[at % 2]) for at, family in enumerate(FAMILIES)]
)
def test_a_tagger_has_the_tags_of_the_checkpoint(family: str, kind: str, tmp_path: Path) -> None:
    tags = TAGS[kind]
    names = {"id2label": dict(enumerate(tags)), "label2id": {tag: at for at, tag in enumerate(tags)}}
    folder = make_whole(tmp_path / "model", family, "TokenClassification", num_hidden_layers=1, **names)
    code, bundle = export(folder, "token-classification", "jsonl")
    assert code == 0
    for words, answer in zip(SENTENCES, edgebert.load(bundle)(list(map(Words, SENTENCES))), strict=True):
        shares, given = probabilities(folder, "TokenClassification", list(words), is_split_into_words=True)
        first = [given.word_ids().index(at) for at in range(len(words))]
        best = [tags[at] for at in shares[first].argmax(1)]
        expected = entities(best, joins=kind == "types")
        text = " ".join(words)
        starts = [len(" ".join(words[:at])) + bool(at) for at in range(len(words))]
        for entity, (label, begin, end) in zip(answer.entities, expected, strict=True):
            assert (entity.label, entity.start) == (label, starts[begin])
            assert entity.text == text[starts[begin] : starts[end - 1] + len(words[end - 1])]
            score = shares[first[begin:end], tags.index(label)].mean()
            assert abs(entity.score - score) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bio", "extra"])
def test_tags_beside_those_of_a_scheme_stay_outputs(kind: str, tmp_path: Path) -> None:
    names = {"id2label": dict(enumerate(TAGS[kind]))}
    folder = make_whole(tmp_path / "model", "bert", "TokenClassification", num_hidden_layers=1, **names)
    code, bundle = export(folder, "token-classification", "jsonl")
    assert code == 0
    labels = json.loads((bundle / "manifest.json").read_text())["labels"]
    assert [label.removeprefix("B-") for label in labels] == [tag.removeprefix("B-") for tag in TAGS[kind]]


@pytest.mark.slow
def test_parts_of_speech_are_scored_a_word_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"id2label": dict(enumerate(TAGS["words"]))}
    folder = make_whole(tmp_path / "model", "distilbert", "TokenClassification", num_hidden_layers=1, **names)
    _, bundle = export(folder, "token-classification", "jsonl")
    answers = edgebert.load(bundle)(list(map(Words, SENTENCES)))
    tags = [[tag.removeprefix("B-") for tag in answer.tags] for answer in answers]
    tags[0][0] = next(tag for tag in TAGS["words"] if tag != tags[0][0])
    rows = [json.dumps({"words": words, "tags": own}) for words, own in zip(SENTENCES, tags, strict=True)]
    (tmp_path / "test.jsonl").write_text("\n".join(rows) + "\n")
    capsys.readouterr()
    assert main(["evaluate", str(bundle), "--data", str(tmp_path / "test.jsonl"), "--json"]) == 0
    count = sum(map(len, SENTENCES))
    assert json.loads(capsys.readouterr().out)["quality"]["value"] == pytest.approx((count - 1) / count)


def test_labels_of_whole_texts_are_no_tags_of_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"id2label": {0: "neg", 1: "pos"}, "label2id": {"neg": 0, "pos": 1}}
    folder = make_whole(tmp_path / "model", "bert", num_hidden_layers=1, **names)
    code, _ = export(folder, "token-classification", "jsonl")
    assert code == 2
    assert "the checkpoint's head has 'neg', 'pos', expected BIO tags" in capsys.readouterr().err


def test_a_pair_for_a_model_of_one_segment_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_whole(tmp_path / "model", "bert", num_hidden_layers=1, type_vocab_size=1)
    code, bundle = export(folder, "text-classification", "tsv", 'text_pair = "b"')
    assert code == 2
    assert not bundle.exists()
    assert "config.json: type_vocab_size is 1, but the tokenizer puts a pair into segment 1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_tokenizer_file_that_transformers_would_not_read_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_whole(tmp_path / "model", "bert", num_hidden_layers=1)
    document = json.loads((folder / "tokenizer.json").read_text())
    document["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    (folder / "tokenizer.json").write_text(json.dumps(document))
    code, _ = export(folder, "text-classification", "tsv")
    assert code == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "tokenizer.json" in line]
    assert len(said) == 1
    assert "pre-tokenizer of the file differs from what transformers" in said[0]
    assert "the bundle uses the file's" in said[0]
