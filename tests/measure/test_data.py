"""Data files read with the columns of a bundle's own data, with labels and without."""

from pathlib import Path
from typing import Any

import pytest

from edgebert.errors import DataError
from edgebert.measure.data import read_rows, read_texts

NAMED = {"text": "sentence", "text_pair": "", "label": "label", "header": True, "delimiter": "suffix"}
NUMBERED = {"text": "2", "text_pair": "", "label": "3", "header": False, "delimiter": "tab"}


def manifest(columns: dict[str, Any]) -> dict[str, Any]:
    return {"task": "text-classification", "head": {"settings": {}}, "data": {"columns": columns}}


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
        (NAMED, "text\tlabel\na good film\t1\n", "no column 'sentence'"),
        (NUMBERED, "a good film\n", "1 columns in"),
        (NAMED, "sentence\tlabel\na good film\n", "1 columns in"),
    ],
    ids=["other name", "too few", "one cell short"],
)
def test_a_file_without_the_texts_is_refused(columns: dict[str, Any], content: str, fact: str, tmp_path: Path) -> None:
    path = tmp_path / "texts.tsv"
    path.write_text(content)
    with pytest.raises(DataError, match=fact):
        read_texts(path, manifest(columns))


def test_labels_are_read_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text("1\ta good film\tpositive\n")
    assert [row.label for row in read_texts(path, manifest(NUMBERED))] == ["positive"]
