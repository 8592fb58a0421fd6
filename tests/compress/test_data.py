"""Training data: files to labels and label numbers, encoding as on the device, padded batches."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgebert.compress.batch import model_inputs, pad_batch
from edgebert.compress.data import EncodedRows, TaskData, encode_rows, read_named_data, read_task_data
from edgebert.compress.validation import Validation
from edgebert.errors import DataError, SettingsError
from edgebert.recipe import DataSettings, ModelSettings, Recipe
from edgebert.runtime.encode import Encoded, TextEncoder

TRAIN = "text\tlabel\na film\t1\na song\t0\nthe play\t2\n"
DATA = DataSettings(train="train.tsv", validation="validation.tsv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train.tsv").write_text(TRAIN)
    (tmp_path / "validation.tsv").write_text("text\tlabel\na meal\t2\n")
    (tmp_path / "more.txt").write_text("so good\nso bad\n")
    return tmp_path


def read(folder: Path, head: list[str] | None = None, **data: Any) -> TaskData:
    recipe = Recipe("tiny", "text-classification", ModelSettings("x"), data=replace(DATA, **data))
    return read_task_data(recipe, folder, head)


def test_labels_are_sorted_and_named_as_the_recipe_says(folder: Path) -> None:
    data = read(folder)
    assert (data.labels.values, data.label_names) == (["0", "1", "2"], ["0", "1", "2"])
    data = read(folder, label_names={"2": "great", "0": "bad", "1": "good"})
    assert (data.labels.values, data.label_names) == (["2", "0", "1"], ["great", "bad", "good"])


@pytest.mark.parametrize(
    ("head", "names", "values", "shown"),
    [
        (["2", "1", "0"], {}, ["2", "1", "0"], ["2", "1", "0"]),
        (["bad", "good", "great"], {"0": "bad", "1": "good", "2": "great"}, ["0", "1", "2"], ["bad", "good", "great"]),
        (["bad", "good", "great", "none"], {}, ["0", "1", "2", "3"], ["bad", "good", "great", "none"]),
    ],
    ids=["by value", "by name", "by number"],
)
def test_labels_of_a_head_that_is_kept_come_in_its_order(
    folder: Path, head: list[str], names: dict[str, str], values: list[str], shown: list[str]
) -> None:
    data = read(folder, head, label_names=names)
    assert (data.labels.values, data.label_names) == (values, shown)


def test_labels_that_a_kept_head_lacks_are_refused(folder: Path) -> None:
    (folder / "train.tsv").write_text("text\tlabel\na film\t0\na song\t3\na meal\t2\na play\t3\na book\t1\n")
    with pytest.raises(DataError) as caught:
        read(folder, ["0", "1"])
    assert str(caught.value) == (
        f"{folder / 'train.tsv'}: line 3: 3 of 5 rows have labels that the model does not have: '3' (2), '2' (1) "
        "(it has 0, 1); map them in [data.label_names], or set finetune.when to always"
    )


def test_rows_of_training_without_a_label_are_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"more\.txt: line 1: no label; expected one of: 0, 1"):
        read(folder, ["0", "1", "2"], train="more.txt")


def test_held_out_labels_that_a_kept_head_lacks_do_not_hide_how_the_files_spell_the_others(folder: Path) -> None:
    (folder / "other.tsv").write_text("text\tlabel\na film\t1\na song\tgood\na meal\t7\n")
    data = read(folder, ["bad", "good", "great"], validation="other.tsv")
    assert data.labels.values == ["0", "1", "2"]
    assert data.unknown["validation"].labels == {"7": 1}


def test_tags_of_training_that_a_kept_head_lacks_are_refused_all_at_once(folder: Path) -> None:
    (folder / "d.conll").write_text("a O\nb B-x\n\nc B-y\nd I-y\n\ne B-z\n")
    settings = replace(DATA, train="d.conll", validation="")
    recipe = Recipe("tiny", "token-classification", ModelSettings("x"), data=settings)
    with pytest.raises(DataError) as caught:
        read_task_data(recipe, folder, ["O", "B-x", "I-x"])
    assert str(caught.value) == (
        f"{folder / 'd.conll'}: line 4: 2 of 3 rows have labels that the model does not have: 'y' (1), 'z' (1) "
        "(it has x); map them in [data.label_names], or set finetune.when to always"
    )
    (folder / "t.conll").write_text("a O\nb B-x\n")
    data = read_task_data(replace(recipe, data=replace(settings, train="t.conll", test="d.conll")), folder)
    assert (data.unknown["test"].labels, data.unknown["test"].rows) == ({"y": 1, "z": 1}, 2)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_label_that_training_lacks_is_told_and_refused_if_that_is_asked_for(
    folder: Path, split: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "other.tsv").write_text("text\tlabel\na film\t0\na song\t3\n")
    recipe = Recipe("tiny", "text-classification", ModelSettings("x"), data=replace(DATA, **{split: "other.tsv"}))
    told = "1 of 2 rows has a label that the model does not have: '3' (1)"
    assert str(read_named_data(recipe, folder, None, strict_labels=False).unknown[split]) == told
    assert capsys.readouterr().err == (
        f"edgebert: {folder / 'other.tsv'}: {told}; they count as wrong, --strict-labels refuses them\n"
    )
    with pytest.raises(DataError) as caught:
        read_named_data(recipe, folder, None, strict_labels=True)
    assert str(caught.value).startswith(f"{folder / 'other.tsv'}: line 3: {told} (it has 0, 1, 2); correct the file")


def test_a_metric_of_two_labels_is_refused_where_there_are_three(folder: Path) -> None:
    recipe = Recipe("tiny", "text-classification", ModelSettings("x"), metric="f1", data=DATA)
    with pytest.raises(SettingsError, match="for 2 labels, and the model has 3: 0, 1, 2; set it to 'macro_f1'"):
        read_task_data(recipe, folder)
    (folder / "train.tsv").write_text(TRAIN.replace("\t0", "\t1"))
    assert read_task_data(recipe, folder).label_names == ["1", "2"]


def test_one_label_is_too_few(folder: Path) -> None:
    (folder / "train.tsv").write_text("text\tlabel\na film\tgood\na song\tgood\n")
    with pytest.raises(DataError, match=r"train\.tsv: only one label, 'good'; expected at least two"):
        read(folder, validation="")


def test_the_facts_are_what_the_device_reads_of_a_manifest(folder: Path) -> None:
    data = read(folder, label_names={"0": "bad", "1": "good", "2": "great"})
    assert data.key() == {
        "task": "text-classification",
        "labels": ["bad", "good", "great"],
        "segments": 1,
        "head": {"settings": {"activation": "softmax"}},
        "data": {"label_values": ["0", "1", "2"]},
    }
    assert data.head({"threshold": 0.4}) == {"settings": {"activation": "softmax"}, "threshold": 0.4}
    labels = replace(data.labels, extra={"slots": ["B-x"]})
    assert replace(data, labels=labels).head() == {"settings": {"activation": "softmax"}, "slots": ["B-x"]}


def test_pairs_make_two_segments(folder: Path) -> None:
    (folder / "train.tsv").write_text("a\tb\tlabel\none\ttwo\t0\nthree\tfour\t1\n")
    data = read(folder, validation="", text="a", text_pair="b")
    assert data.segments == 2
    assert data.facts().segments == 2


def test_the_limit_spares_held_out_rows_and_every_file_has_its_fingerprint(folder: Path) -> None:
    data = read(folder, limit=1, validation="train.tsv", unlabelled=("more.txt",))
    assert [len(rows) for rows in (data.train, data.validation, data.unlabelled)] == [1, 3, 1]
    assert data.unlabelled[0].label is None
    assert [(entry["split"], entry["file"]) for entry in data.fingerprints] == [
        ("train", "train.tsv"),
        ("validation", "train.tsv"),
        ("unlabelled", "more.txt"),
    ]


def test_rows_are_encoded_as_the_device_does_with_their_targets(folder: Path, checkpoint: Path) -> None:
    data = read(folder, unlabelled=("more.txt",))
    encoder = TextEncoder(checkpoint / "tokenizer.json", 16)
    rows = encode_rows([*data.train, *data.unlabelled], data, encoder)
    assert [item["labels"] for item in rows] == [1, 0, 2, -100, -100]
    assert list(rows.rows) == [encoder.encode(row.text) for row in [*data.train, *data.unlabelled]]
    assert rows[0] == {"input_ids": rows.rows[0].ids, "token_type_ids": rows.rows[0].type_ids, "labels": 1}


def test_a_batch_is_padded_with_every_kind_of_target() -> None:
    rows = EncodedRows(
        [Encoded([1, 5, 2], [0, 1, 1]), Encoded([1, 2], [0, 0])],
        [
            {"labels": 1, "score": 0.5, "each": [3, 4, -100], "several": np.array([0.0, 1.0])},
            {"labels": 0, "score": 2.0, "each": [5, 6], "several": np.array([1.0, 1.0])},
        ],
    )
    batch = pad_batch([rows[0], rows[1]], pad_id=9)
    assert {name: value.tolist() for name, value in batch.items()} == {
        "input_ids": [[1, 5, 2], [1, 2, 9]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "token_type_ids": [[0, 1, 1], [0, 0, 0]],
        "labels": [1, 0],
        "score": [0.5, 2.0],
        "each": [[3, 4, -100], [5, 6, -100]],
        "several": [[0.0, 1.0], [1.0, 1.0]],
    }
    assert {batch[name].dtype for name in ("input_ids", "attention_mask", "labels", "each")} == {torch.int64}
    assert batch["score"].dtype == torch.float32
    assert list(model_inputs(batch)) == ["input_ids", "attention_mask", "token_type_ids"]


def test_a_text_without_a_token_is_told_with_its_line(folder: Path, checkpoint: Path) -> None:
    (folder / "train.tsv").write_text(f"{TRAIN}\x01\t0\n")
    data, encoder = read(folder), TextEncoder(checkpoint / "tokenizer.json", 16)
    with pytest.raises(DataError, match=r"train\.tsv: line 5: text '\\x01' holds no token"):
        encode_rows(data.train, data, encoder)
    with pytest.raises(DataError, match=r"train\.tsv: line 5: text '\\x01' holds no token"):
        Validation(data.train, data, encoder, "accuracy")


def test_a_single_text_is_refused_where_the_model_takes_two(folder: Path) -> None:
    (folder / "train.tsv").write_text("a\tb\tlabel\none\ttwo\t0\nthree\tfour\t1\n")
    (folder / "lines.txt").write_text("a good film\n")
    with pytest.raises(DataError) as refusal:
        read(folder, validation="", text="a", text_pair="b", unlabelled=("lines.txt",))
    assert str(refusal.value) == (
        f"{folder / 'lines.txt'}: line 1: one text, but this model takes two; give a table or JSON Lines with the "
        "columns a and b"
    )


def test_a_question_has_its_own_names_for_both_texts(folder: Path) -> None:
    (folder / "q.jsonl").write_text('{"question": "who", "context": "it was Ann"}\n')
    (folder / "lines.txt").write_text("who\n")
    settings = DataSettings(unlabelled=("q.jsonl",))
    recipe = Recipe("q", "question-answering", ModelSettings("x"), data=settings)
    assert [(row.text, row.text_pair) for row in read_task_data(recipe, folder).unlabelled] == [("who", "it was Ann")]
    lines = replace(recipe, data=DataSettings(unlabelled=("lines.txt",)))
    with pytest.raises(DataError, match="with the columns question and context"):
        read_task_data(lines, folder)
