"""Data files read with the columns of a bundle's own data, with labels and without."""

from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of

from edgebert.errors import DataError
from edgebert.manifest import Manifest
from edgebert.runtime.rows import data_file, namings, read_rows, read_texts

NAMED = {"text": "sentence", "text_pair": "", "label": "label", "header": True, "delimiter": "suffix"}
NUMBERED = {"text": "2", "text_pair": "", "label": "3", "header": False, "delimiter": "tab"}


def manifest(columns: dict[str, Any], task: str = "text-classification") -> Manifest:
    return manifest_of(task=task, data={"columns": columns})


@pytest.mark.parametrize(
    ("columns", "content"),
    [(NAMED, "sentence\na good film\na bad film\n"), (NUMBERED, "1\ta good film\n2\ta bad film\n")],
    ids=["named", "numbered"],
)
def test_a_file_without_labels_gives_its_texts(columns: dict[str, Any], content: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text(content)
    assert [(row.text, row.label) for row in read_texts(path, manifest(columns))] == [
        ("a good film", None),
        ("a bad film", None),
    ]
    with pytest.raises(DataError):
        read_rows(path, manifest(columns))


@pytest.mark.parametrize(
    ("columns", "content", "fact"),
    [
        (
            NAMED,
            "review\tlabel\na good film\t1\n",
            "no column 'sentence'; the header has: 'review', 'label'; "
            "this bundle reads the columns sentence, label or the columns text, label; --text-column",
        ),
        (NUMBERED, "a good film\n", "no column 'text'"),
        (NAMED, "sentence\tlabel\na good film\n", "1 columns in"),
    ],
    ids=["other name", "too few", "one cell short"],
)
def test_a_file_without_the_texts_is_refused(columns: dict[str, Any], content: str, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=fact):
        read_texts(path, manifest(columns))


def test_a_table_may_have_the_usual_names(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\na good film\tpositive\n")
    for read in (read_rows, read_texts):
        assert [(row.text, row.label) for row in read(path, manifest(NAMED))] == [("a good film", "positive")]
    path.write_text("text\na good film\n")
    assert [(row.text, row.label) for row in read_texts(path, manifest(NAMED))] == [("a good film", None)]


def test_labels_under_a_usual_name_are_read_where_the_text_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("text\tlabel\na good film\tpositive\n")
    columns = NAMED | {"text": "text", "label": "gold"}
    assert [row.label for row in read_texts(path, manifest(columns))] == ["positive"]


def test_columns_of_a_later_version_are_ignored() -> None:
    assert namings(manifest({**NAMED, "weight": "w"})) == namings(manifest(NAMED))


def test_its_own_names_come_before_the_usual_ones(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("text\tsentence\tlabel\nanother\ta good film\tpositive\n")
    assert [row.text for row in read_rows(path, manifest(NAMED))] == ["a good film"]


@pytest.mark.parametrize(
    ("task", "columns", "told"),
    [
        ("text-classification", NAMED, "the columns sentence, label or the columns text, label"),
        (
            "text-classification",
            NUMBERED,
            "the columns text, label or a table without a header whose columns are 2 (text), 3 (label)",
        ),
        ("regression", NAMED | {"text": "text", "text_pair": "text_pair"}, "the columns text, text_pair, label"),
        (
            "question-answering",
            NAMED,
            "SQuAD documents (.json), or JSON Lines with question, context and answers [{text, start}]",
        ),
    ],
)
def test_what_a_labelled_file_holds_is_told(task: str, columns: dict[str, Any], told: str) -> None:
    assert data_file(manifest(columns, task)) == told


def test_labels_are_read_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("1\ta good film\tpositive\n")
    assert [row.label for row in read_texts(path, manifest(NUMBERED))] == ["positive"]


PAIRS = {"text": "6", "text_pair": "7", "label": "5", "header": False, "delimiter": "tab"}


@pytest.mark.parametrize("columns", [NAMED | {"text_pair": "other"}, PAIRS], ids=["named", "numbered"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("one.jsonl", '{"text": "a dog"}\n'),
        ("one.tsv", "text\na dog\n"),
        ("one.csv", "text\na dog\n"),
        ("one.tsv", "a\tb\tc\td\te\tf\ttext\n1\t2\t3\t4\t5\t6\ta dog\n"),
    ],
)
def test_texts_to_embed_come_without_their_pairs(
    columns: dict[str, Any], name: str, content: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    about = manifest(columns, "similarity")
    assert [(row.text, row.text_pair, row.label) for row in read_texts(path, about)] == [("a dog", None, None)]
    with pytest.raises(DataError):
        read_rows(path, about)
    with pytest.raises(DataError):
        read_texts(path, manifest(columns, "regression"))


def test_a_pair_is_read_whole_where_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"sentence": "a dog", "other": "a cat"}\n')
    about = manifest(NAMED | {"text_pair": "other"}, "similarity")
    assert [(row.text, row.text_pair) for row in read_texts(path, about)] == [("a dog", "a cat")]
    path.write_text('{"text": "a dog", "text_pair": "a cat"}\n')
    assert [(row.text, row.text_pair) for row in read_texts(path, about)] == [("a dog", "a cat")]
