"""Labelled texts on disk: every format is read correctly, and errors name file, line, value and allowed values."""

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebert.data.examples import Columns, Example, listed, read_examples
from edgebert.errors import DataError, MissingColumnError, TextError

BOM = b"\xef\xbb\xbf"
SINGLE = Columns()
PAIR = Columns("a", "b", "y")


def write(folder: Path, name: str, content: bytes | str) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def refused(path: Path, columns: Columns = SINGLE) -> str:
    with pytest.raises(DataError) as caught:
        read_examples(path, columns)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


CONTENTS = {
    "tsv": ('label\ttext\nneg\ta "stray quote\npos\t1, 2\n', [('a "stray quote', "neg", 2), ("1, 2", "pos", 3)]),
    "csv": (
        'text,label\n"one, ""two""",neg\n"three\nfour",pos\nfive,neg\n',
        [('one, "two"', "neg", 2), ("three\nfour", "pos", 3), ("five", "neg", 5)],
    ),
    "jsonl": (
        '{"text": "caf\\u00e9", "label": 0}\n\n{"label": "pos", "text": "b", "more": [1]}\n',
        [("café", "0", 1), ("b", "pos", 3)],
    ),
    "txt": ('a,b\tc\n\n"d"\n', [("a,b\tc", None, 1), ('"d"', None, 3)]),
}


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("bom", [b"", BOM], ids=["plain", "bom"])
def test_every_format_gives_its_rows_with_their_lines(kind: str, suffix: str, bom: bytes, tmp_path: Path) -> None:
    content, rows = CONTENTS[kind]
    path = write(tmp_path, f"data.{kind}{suffix}", bom + content.encode())
    assert read_examples(path, Columns()) == [Example(text, None, label, line) for text, label, line in rows]


@pytest.mark.parametrize("kind", CONTENTS)
def test_windows_line_ends_are_no_part_of_a_value(kind: str, tmp_path: Path) -> None:
    content, rows = CONTENTS[kind]
    path = write(tmp_path, f"data.{kind}", content.replace("\n", "\r\n"))
    expected = [(text.replace("\n", "\r\n"), label, line) for text, label, line in rows]
    assert [(row.text, row.label, row.line) for row in read_examples(path, Columns())] == expected


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.tsv", "y\tb\ta\n1\ttwo\tone\n"),
        ("p.csv", "b,y,a\ntwo,1,one\n"),
        ("p.jsonl", '{"a": "one", "b": "two", "y": 1}\n'),
    ],
)
def test_pairs_come_from_the_columns_that_are_named(name: str, content: str, tmp_path: Path) -> None:
    (row,) = read_examples(write(tmp_path, name, content), PAIR)
    assert (row.text, row.text_pair, row.label) == ("one", "two", "1")


def test_the_last_line_needs_no_line_end_and_unasked_columns_may_be_missing(tmp_path: Path) -> None:
    (row,) = read_examples(write(tmp_path, "p.tsv", "text\na b"), Columns(label=""))
    assert row == Example("a b", None, None, 2)


def test_a_unicode_line_separator_does_not_split_a_row(tmp_path: Path) -> None:
    rows = read_examples(write(tmp_path, "p.tsv", "text\tlabel\na\u2028b\x0bc\x85d\tpos\n"), Columns())
    assert [row.text for row in rows] == ["a\u2028b\x0bc\x85d"]


SPREADSHEETS = {
    "semicolons": ('text;label\n"a; b";pos\nc, d;neg\n', {}),
    "tabs": ('text\tlabel\n"a; b"\tpos\nc, d\tneg\n', {}),
    "pipes": ('text|label\n"a; b"|pos\nc, d|neg\n', {}),
    "spaces after commas": ('text, label\n"a; b", pos\n"c, d", neg\n', {}),
    "a named delimiter": ('text;label\n"a; b";pos\nc, d;neg\n', {"delimiter": "semicolon"}),
    "spaces after a named delimiter": ('text; label\n"a; b"; pos\nc, d; neg\n', {"delimiter": "semicolon"}),
    "single quotes": ("text,label\n'a; b',pos\n'c, d',neg\n", {"quotes": "single"}),
    "no quotes": ("text|label\na; b|pos\nc, d|neg\n", {"quotes": "none"}),
}


@pytest.mark.parametrize("kind", SPREADSHEETS)
def test_a_spreadsheets_dialect_is_read(kind: str, tmp_path: Path) -> None:
    content, options = SPREADSHEETS[kind]
    rows = read_examples(write(tmp_path, "d.csv", content), Columns(**options))
    assert [(row.text, row.label) for row in rows] == [("a; b", "pos"), ("c, d", "neg")]


def test_literal_quotes_stay_in_the_text(tmp_path: Path) -> None:
    rows = read_examples(write(tmp_path, "d.csv", 'text,label\n"a,pos\n'), Columns(quotes="none"))
    assert rows[0].text == '"a'
    rows = read_examples(write(tmp_path, "d.tsv", 'text\tlabel\n"a\tb"\tpos\n'), Columns(quotes="double"))
    assert rows[0].text == "a\tb"


@pytest.mark.parametrize(("name", "separator"), [("d.csv", ","), ("d.csv", ";"), ("d.tsv", "\t")])
def test_a_cell_may_be_of_any_length(name: str, separator: str, tmp_path: Path) -> None:
    text = "good " * 40_000
    rows = read_examples(write(tmp_path, name, f"text{separator}label\n{text}{separator}pos\n"), Columns())
    assert (rows[0].text, rows[0].label) == (text, "pos")


NUMBERED = Columns("3", "4", "1", header=False)


@pytest.mark.parametrize(
    ("name", "content", "delimiter"),
    [
        ("p.tsv", '2.5\tid\ta "b\tc, d\n\n0\tid\te\tf\tmore\tand more\n', "suffix"),
        ("p.csv.gz", '2.5\tid\ta "b\tc, d\n\n0\tid\te\tf\tmore\tand more\n', "tab"),
        ("p.csv", '2.5,id,"a ""b","c, d"\n\n0,id,e,f,more,and more\n', "suffix"),
        ("p.tsv", '2.5,id,"a ""b","c, d"\n\n0,id,e,f,more,and more\n', "comma"),
    ],
)
def test_a_table_without_a_header_goes_by_column_numbers(
    name: str, content: str, delimiter: Any, tmp_path: Path
) -> None:
    rows = read_examples(write(tmp_path, name, content), replace(NUMBERED, delimiter=delimiter))
    assert rows == [Example('a "b', "c, d", "2.5", 1), Example("e", "f", "0", 3)]


def test_a_delimiter_speaks_of_tables_only(tmp_path: Path) -> None:
    columns = Columns(label="", delimiter="comma")
    assert read_examples(write(tmp_path, "p.txt", "a,b\n"), columns) == [Example("a,b", None, None, 1)]
    assert read_examples(write(tmp_path, "p.jsonl", '{"text": "a,b"}\n'), columns) == [Example("a,b", None, None, 1)]
    assert read_examples(write(tmp_path, "p.tsv", "n,text\n1,a\n"), columns) == [Example("a", None, None, 2)]


@pytest.mark.parametrize(
    ("columns", "content", "message"),
    [
        (NUMBERED, "1\t2\t3\t4\n\n1\t2\t3\n", "line 3: 3 columns in ['1', '2', '3']; expected at least 4"),
        (NUMBERED, "1\t2\t \t4\n", "line 1: '3' is ' '; expected a text that is not blank"),
        (Columns(header=False), "a\tb\n", "read without a header, so columns are numbered from 1; got text, label"),
        (
            Columns("0", header=False, label=""),
            "a\tb\n",
            "read without a header, so columns are numbered from 1; got 0",
        ),
        (Columns("-1", header=False, label=""), "a\tb\n", "read without a header, so columns are numbered from 1"),
        (NUMBERED, "\n\n", "is empty; expected a header and at least one row"),
    ],
)
def test_a_table_without_a_header_is_refused_with_the_line(
    columns: Columns, content: str, message: str, tmp_path: Path
) -> None:
    assert refused(write(tmp_path, "d.tsv", content), columns).startswith(message)


def score(value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return float(value)
    raise ValueError("a number")


def test_the_label_is_read_as_the_task_says(tmp_path: Path) -> None:
    table = write(tmp_path, "d.tsv", "text\tlabel\na\t2.5\nb\t1e1\n")
    assert [row.label for row in read_examples(table, SINGLE, score)] == [2.5, 10.0]
    lines = write(tmp_path, "d.jsonl", '{"text": "a", "label": 3}\n{"text": "b", "label": "0.5"}\n')
    assert [row.label for row in read_examples(lines, SINGLE, score)] == [3.0, 0.5]
    assert [row.label for row in read_examples(lines, Columns(label=""), score)] == [None, None]


@pytest.mark.parametrize(
    ("value", "shown"),
    [("[1]", "[1]"), ("true", "True"), ('"' + "x" * 99 + '"', "'" + "x" * 59 + "…")],
)
def test_a_label_that_does_not_read_is_told_with_its_line(value: str, shown: str, tmp_path: Path) -> None:
    def never(value: object) -> float:
        raise ValueError("a number from 0 to 5")

    path = write(tmp_path, "d.jsonl", f'{{"text": "a", "label": {value}}}\n')
    with pytest.raises(DataError) as caught:
        read_examples(path, SINGLE, never)
    assert str(caught.value) == f"{path}: line 1: 'label' is {shown}; expected a number from 0 to 5"


@pytest.mark.parametrize("value", ["[1]", "true", "0.5", '{"a": 1}'])
def test_a_class_is_a_string_or_an_integer(value: str, tmp_path: Path) -> None:
    message = refused(write(tmp_path, "d.jsonl", f'{{"text": "a", "label": {value}}}\n'))
    assert message == f"line 1: 'label' is {json.loads(value)!r}; expected a string"


def test_a_row_knows_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, "d.tsv", "text\tlabel\n\na b\tpos\n")
    (row,) = read_examples(path, SINGLE)
    assert (row.place, row.source, row.line, row.words) == (f"{path}: line 3", str(path), 3, ())
    assert row == Example("a b", None, "pos", 3, "elsewhere.tsv")
    assert row != Example("a b", None, "pos", 3, str(path), ("a", "b"))


@pytest.mark.parametrize("name", [f"data.{kind}{suffix}" for kind in CONTENTS for suffix in ("", ".gz")])
@pytest.mark.parametrize("content", [b"", b"\n \r\n\t\n", BOM, BOM + b"\n"])
def test_a_file_without_anything_is_told_as_empty(name: str, content: bytes, tmp_path: Path) -> None:
    message = refused(write(tmp_path, name, content))
    assert "is empty" in message or "holds no rows" in message
    wanted = {".jsonl": "a JSON object per line", ".txt": "one text per line"}
    assert f"expected {wanted.get(Path(name.removesuffix('.gz')).suffix, 'a header and at least one row')}" in message


@pytest.mark.parametrize(
    ("name", "header"), [("d.tsv", "text\tlabel\n"), ("d.csv", "text,label\r\n"), ("d.tsv", "\u00a0\n")]
)
def test_a_header_alone_is_told(name: str, header: str, tmp_path: Path) -> None:
    assert refused(write(tmp_path, name, header)).startswith("holds no rows; expected a header and at least one row")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.tsv", "sentence\tlabel\na\tb\n", "line 1: no column 'text'; the header has: 'sentence', 'label'"),
        ("d.csv", "text;lable\na;b\n", "line 1: no column 'label'; the header has: 'text', 'lable'"),
        ("d.csv", "text, lable\na, b\n", "line 1: no column 'label'; the header has: 'text', ' lable'"),
        (
            "d.tsv",
            "text\tlabel\ttext\na\tb\tc\n",
            "line 1: column 'text' occurs 2 times in the header; give each column its own name",
        ),
        ("d.csv", "text\na\n", "line 1: no column 'label'; the header has: 'text'"),
        ("d.jsonl", '{"text": "a"}\n', "line 1: no key 'label'; the row has: text"),
        ("d.tsv", "text\tlabel\na\tb\na\tb\tc\n", "line 3: 3 columns in ['a', 'b', 'c']; expected 2: text, label"),
        ("d.tsv", "text\tlabel\na b\n", "line 2: 1 columns in ['a b']; expected 2: text, label"),
        ("d.csv", "text,label\n\nx,y\na,b,c\n", "line 4: 3 columns in ['a', 'b', 'c']; expected 2: text, label"),
        ("d.csv", 'text,label\n"x\ny",y\na\n', "line 4: 1 columns in ['a']; expected 2: text, label"),
        ("d.csv", 'text,label\nx,y\n"a,b\nc,d\n', "line 3: not valid CSV (unexpected end of data); check its quotes"),
        ("d.csv", 'text,label\n"a"b,c\n', "line 2: not valid CSV (',' expected after '\"'); check its quotes"),
        ("d.jsonl", '{"text": "a", "label": 1}\n{"text": \n', "line 2: not JSON (Expecting value): '{\"text\": '"),
        (
            "d.jsonl",
            '{"text": "a", "label": "x"}\n{"text": "a", "text": "b", "label": "x"}\n',
            "line 2: not JSON (key 'text' occurs twice in one object): '{",
        ),
        (
            "d.jsonl",
            '{"text": "a", "label": "x", "more": [{"a": 1, "a": 1}]}\n',
            "line 1: not JSON (key 'a' occurs twice",
        ),
        ("d.jsonl", '{"text": "a", "label": NaN}\n', "line 1: not JSON (NaN is not a JSON number): '{"),
        ("d.jsonl", '{"text": "a", "label": "x", "more": -Infinity}\n', "line 1: not JSON (-Infinity is not a JSON"),
        ("d.jsonl", '{"text": "a", "label": 1e999}\n', "line 1: not JSON (the number 1e999 is too large)"),
        (
            "d.csv",
            "text,label,text\na,b,c\n",
            "line 1: column 'text' occurs 2 times in the header; give each column its own name",
        ),
        (
            "d.csv",
            "label;label;text\na;b;c\n",
            "line 1: column 'label' occurs 2 times in the header; give each column its own name",
        ),
        ("d.jsonl", '["a", 1]\n', "line 1: '[\"a\", 1]' is not a JSON object; expected one per line"),
        ("d.jsonl", '{"text": 5, "label": 1}\n', "line 1: 'text' is 5; expected a string"),
        ("d.jsonl", '{"text": null, "label": 1}\n', "line 1: 'text' is None; expected a text that is not blank"),
        ("d.jsonl", '{"text": "a", "label": 0.5}\n', "line 1: 'label' is 0.5; expected a string"),
        ("d.tsv", b"text\tlabel\na\tb\ncaf\xe9\tb\n", r"line 3: bytes b'\xe9\tb\n' are not UTF-8; convert the file to"),
        ("d.tsv", "text\tlabel\na\tb\n".encode("utf-16"), "line 1: bytes b'\\xff\\xfet\\x00' are not UTF-8"),
        ("d.xlsx", "x", "unknown data format '.xlsx'; expected .tsv, .csv, .jsonl, .txt, or .gz of one"),
        ("d.xlsx", b"PK\x03\x04\xff", "unknown data format '.xlsx'; expected .tsv, .csv, .jsonl, .txt, or .gz of one"),
        ("d.parquet.gz", "x", "unknown data format '.parquet'; expected .tsv, .csv, .jsonl, .txt, or .gz of one"),
        ("data", "x", "unknown data format ''; expected .tsv, .csv, .jsonl, .txt, or .gz of one"),
    ],
)
def test_a_fault_is_told_with_line_value_and_expectation(
    name: str, content: bytes | str, message: str, tmp_path: Path
) -> None:
    assert refused(write(tmp_path, name, content)).startswith(message)


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_row_without_text_is_named(blank: str, tmp_path: Path) -> None:
    message = refused(write(tmp_path, "d.tsv", f"text\tlabel\na\tneg\n{blank}\tpos\n"))
    assert f"line 3: 'text' is {blank!r}; expected a text that is not blank" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.jsonl", "[" * 100_000),
        ("d.jsonl", '{"text": "a", "label": ' + "1" * 5000 + "}"),
        ("d.csv", '"te\nxt",label\na,b\n'),
    ],
    ids=["nested", "huge-number", "header-of-two-lines"],
)
def test_hostile_content_is_one_line_too(name: str, content: str, tmp_path: Path) -> None:
    assert refused(write(tmp_path, name, content)).startswith("line 1: ")


def test_a_long_row_is_shown_short(tmp_path: Path) -> None:
    message = refused(write(tmp_path, "d.tsv", "text\tlabel\n" + "word " * 10_000 + "\n"))
    assert message.startswith("line 2: 1 columns in ['word word")
    assert len(message) < 200


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-10], lambda data: b"plain text", lambda data: data[:20] + bytes(8) + data[28:]],
    ids=["truncated", "not-gzip", "altered"],
)
def test_a_damaged_gzip_file_is_told(damage: object, tmp_path: Path) -> None:
    path = write(tmp_path, "d.tsv.gz", "text\tlabel\n" + "a\tb\n" * 500)
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert refused(path).startswith("not a complete gzip file (")


def test_a_file_that_unpacks_to_far_more_than_it_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.data.text_file.MAX_UNPACKED", 10_000)
    path = write(tmp_path, "d.tsv.gz", "text\tlabel\n" + "a\tb\n" * 500_000)
    size = path.stat().st_size
    assert refused(path) == (
        f"{size} bytes unpack to more than {100 * size}, over 100 times as many; if that is right, unpack it "
        "(gunzip) and name the unpacked file"
    )


@pytest.mark.parametrize(("rows", "ratio"), [(2_400, 100), (500_000, 2_000)])
def test_a_file_that_packs_well_is_read(rows: int, ratio: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.data.text_file.MAX_UNPACKED", 10_000)
    monkeypatch.setattr("edgebert.data.text_file.MAX_RATIO", ratio)
    assert len(read_examples(write(tmp_path, "d.tsv.gz", "text\tlabel\n" + "a\tb\n" * rows), SINGLE)) == rows


def test_a_key_that_stands_once_in_each_of_two_objects_is_fine(tmp_path: Path) -> None:
    path = write(tmp_path, "d.jsonl", '{"text": "a", "label": "x", "more": [{"text": 1}, {"text": 2e3}]}\n')
    assert read_examples(path, SINGLE)[0].text == "a"


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    assert refused(tmp_path / "no.tsv") == "no such file; check the path and the folder it is relative to"
    (tmp_path / "folder.tsv").mkdir()
    assert refused(tmp_path / "folder.tsv").startswith("is a folder; name one data file")


def test_a_long_list_says_how_many_more_there_are() -> None:
    assert listed(["a", "b"], 2) == "a, b"
    assert listed(["a", "b", "c", "d"], 2) == "a, b and 2 more"


@pytest.mark.parametrize("content", ["a film\ra song\r", "text\tlabel\ra film\tpos\r"])
def test_lines_that_end_in_carriage_returns_alone_are_told(content: str, tmp_path: Path) -> None:
    path = write(tmp_path, "data.txt", content)
    assert refused(path) == "its lines end in only a carriage return; convert line ends to line feeds"


def test_csv_may_end_its_rows_in_carriage_returns(tmp_path: Path) -> None:
    path = write(tmp_path, "data.csv", "text,label\ra film,pos\r")
    assert [(row.text, row.label) for row in read_examples(path, SINGLE)] == [("a film", "pos")]


@pytest.mark.parametrize(
    "rows", [('{"text": "a", "label": "x"}', '{"text": "b"}'), ('{"text": "b"}', '{"text": "a", "label": "x"}')]
)
def test_a_label_that_only_some_rows_have_is_no_file_without_labels(rows: tuple[str, str], tmp_path: Path) -> None:
    path = write(tmp_path, "data.jsonl", "\n".join(rows))
    with pytest.raises(DataError, match="no key 'label'; the row has: text; expected it in every row") as caught:
        read_examples(path, SINGLE)
    assert not isinstance(caught.value, MissingColumnError)


def test_a_text_that_is_refused_is_told_with_its_place() -> None:
    told = []
    for source in ("d.tsv", "d.json", "d.json.gz"):
        with pytest.raises(DataError) as caught, Example("a", None, None, 7, source).told():
            raise TextError("text 'a' holds no token; give at least one word")
        told.append(str(caught.value))
    assert told == [
        f"{place} 7: text 'a' holds no token; give at least one word"
        for place in ("d.tsv: line", "d.json: question", "d.json.gz: question")
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name on this system")
@pytest.mark.parametrize("name", ["d.tsv", "d.csv.gz", "d.jsonl"])
def test_a_pipe_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="not a regular file"):
        read_examples(tmp_path / name, Columns())
