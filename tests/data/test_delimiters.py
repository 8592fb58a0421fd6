"""The delimiter of a table: detected from the header, or given in Excel's first line."""

from pathlib import Path

import pytest

from edgebert.data.examples import Columns, read_examples
from edgebert.errors import MissingColumnError

NAMED = Columns("sentense", label="gold")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_mistyped_column_shows_the_columns_that_there_are_and_the_nearest(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("sentence;id;gold\na;1;x\n".replace(";", delimiter))
    with pytest.raises(MissingColumnError) as caught:
        read_examples(path, NAMED)
    assert str(caught.value) == (
        f"{path}: line 1: no column 'sentense'; the header has: 'sentence', 'id', 'gold'; did you mean 'sentence'?"
    )


def test_no_wanted_column_at_all_shows_the_most_columns(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("one, two;three;four\na;b;c\n")
    with pytest.raises(MissingColumnError, match=r"the header has: 'one, two', 'three', 'four'$"):
        read_examples(tmp_path / "d.csv", NAMED)


def test_a_key_of_json_lines_is_named_too(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text('{"sentence": "a", "gold": "x"}\n')
    with pytest.raises(MissingColumnError, match="the row has: sentence, gold; did you mean 'sentence'"):
        read_examples(tmp_path / "d.jsonl", NAMED)


@pytest.mark.parametrize("stated", ["sep=;\n", "sep=;\r\n", "SEP=;\n", '"sep=;"\n', "\ufeffsep=;\n"])
def test_the_first_line_of_excel_states_the_delimiter(stated: str, tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_bytes(f"{stated}text;label\na, b;x\n".encode())
    assert [(row.text, row.label, row.line) for row in read_examples(tmp_path / "d.csv", Columns())] == [
        ("a, b", "x", 3)
    ]
    headless = Columns("1", label="2", header=False)
    assert [row.text for row in read_examples(tmp_path / "d.csv", headless)] == ["text", "a, b"]


def test_a_stated_delimiter_goes_before_what_the_header_looks_like(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("sep=^\ntext^label,no\na^x\n")
    with pytest.raises(MissingColumnError, match="no column 'label'; the header has: 'text', 'label,no'"):
        read_examples(tmp_path / "d.csv", Columns())
