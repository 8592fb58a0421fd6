"""Labelled text on disk: TSV and CSV with a header, JSONL, plain lines; gzip of each. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from edgebert.data.columns import Columns
from edgebert.data.delimited import dialect_of, nearest, split, stated_delimiter
from edgebert.data.formats import COLUMNAR, TABLES
from edgebert.data.text_file import data_format, read_text, suffix_of, text_lines, wanted_of
from edgebert.errors import DataError, EmptyCellError, MissingColumnError, TextError
from edgebert.strict_json import MARK, Json, parse_data

# Maximum number of digits in a column's number.
MAX_DIGITS = 9


Parse = Callable[[object], Any]


@dataclass(frozen=True)
class Example:
    """One row: a text, optionally a second text and a label, and its location (lines from 1).

    `label` has the type that the task reads: a class, several classes, a number, tags, answers. `words` are the words
    of a text that was already split; `text` is then the words joined by single spaces. With `is_raw`, `text` is the
    unsplit text, and is encoded as it is. With `word_a_line`, each word has a line of its own, from `line` on. `empty`
    marks a row to skip (`edgebert.data.empty`).
    """

    text: str
    text_pair: str | None
    label: Any
    line: int
    source: str = field(default="", compare=False)
    words: tuple[str, ...] = ()
    word_a_line: bool = field(default=False, compare=False)
    empty: bool = field(default=False, compare=False)
    is_raw: bool = field(default=False, compare=False)

    @property
    def place(self) -> str:
        """File and line, or the question's or row's location in a file without lines, for messages."""
        return place_in(self.source, self.line)

    def place_of(self, word: int) -> str:
        """File and line of a word, counted from 0."""
        return replace(self, line=self.line + word).place if self.word_a_line else self.place

    @contextmanager
    def told(self) -> Iterator[None]:
        """Add file and line to the error of a refused text.

        Raises:
            DataError: Replaces the TextError.
        """
        try:
            yield
        except TextError as error:
            raise DataError(f"{self.place}: {error}") from None


def place_in(source: Path | str, number: int) -> str:
    """A file and a place in it: a line, a question of a SQuAD document, a row of Parquet or Arrow."""
    units = {".json": "question", **dict.fromkeys(COLUMNAR, "row")}
    return f"{source}: {units.get(suffix_of(Path(source)), 'line')} {number}"


def one_class(value: object) -> str:
    """Read a class label: a string that is not blank, or in JSON an integer."""
    if isinstance(value, str) and not value.strip():
        raise ValueError("a string that is not blank")
    if isinstance(value, str) or type(value) is int:
        return str(value)
    raise ValueError("a string")


def is_blank(value: object) -> bool:
    """Whether a cell is empty: blank, null, or in JSON an empty list."""
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def unless_empty(read: Callable[[], Example], path: Path, line: int, skip_empty: bool) -> Example:
    """Read a row; if a cell is empty and such rows are skipped, return a row marked as empty.

    Raises:
        EmptyCellError: A cell is empty, and such rows are not skipped.
    """
    try:
        return read()
    except EmptyCellError:
        if not skip_empty:
            raise
        return Example("", None, None, line, str(path), empty=True)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Format the first names, and the number of others."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def read_examples(path: Path, columns: Columns, parse: Parse = one_class) -> list[Example]:
    """Read every row of a data file.

    Args:
        path: A `.tsv`, `.csv`, `.jsonl` or `.txt` (one text per line) file, or its `.gz`.
        columns: Which columns to take; a `.txt` file has only the text.
        parse: Reads the label's cell or JSON value; raises ValueError with what was expected.

    Raises:
        DataError: The file or a column is missing, the file is empty or wrongly encoded, or a row does not parse. The
            message names file, line, value and what was expected.
    """
    readers = {".tsv": _delimited, ".csv": _delimited, ".jsonl": _jsonl, ".txt": _txt}
    read = readers[data_format(path, TABLES)]
    text = read_text(path)
    examples = [
        unless_empty(partial(example_of, path, values, columns, number, parse), path, number, columns.skip_empty)
        for number, values in read(path, text, columns)
    ]
    if not examples:
        raise DataError(f"{path}: holds no rows; expected {wanted_of(path)}")
    return examples


def read_by_first(namings: Sequence[Columns], read: Callable[[Columns], list[Example]]) -> list[Example]:
    """Read rows with the first set of column names that the file has completely.

    Raises:
        MissingColumnError: No set fits. If one finds the texts but not the labels, the message says so.
    """
    missing: list[MissingColumnError] = []
    for columns in namings:
        try:
            return read(columns)
        except MissingColumnError as error:
            missing.append(error)
    unlabelled = [found for columns, found in zip(namings, missing, strict=True) if found.column == columns.label]
    raise (unlabelled or missing)[0]


def read_texts(path: Path, columns: Columns, keys: tuple[str, str] | None) -> list[Example]:
    """Read rows without labels, by these columns or by a task's own names for its texts, `keys`."""
    own = [Columns(*keys, "", skip_empty=columns.skip_empty)] if keys else []
    return read_by_first([replace(columns, label=""), *own], lambda named: read_examples(path, named))


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return ((number, line) for number, line in text_lines(text) if line.strip())


Values = Iterator[tuple[int, dict[str, Json]]]


def _txt(path: Path, text: str, columns: Columns) -> Values:
    for number, line in _lines(text):
        yield number, {columns.text: line}


def _delimited(path: Path, text: str, columns: Columns) -> Values:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    wanted = _named(columns) if columns.header else []
    stated, text = stated_delimiter(text) if suffix == ".csv" else ("", text)
    dialect = dialect_of(suffix, text, columns.delimiter, columns.quotes, wanted, stated)
    return _table(path, split(path, text, dialect), columns)


def _named(columns: Columns) -> list[str]:
    return [name for name in (columns.text, columns.text_pair, columns.label) if name]


def _table(path: Path, rows: Iterator[tuple[int, list[str]]], columns: Columns) -> Values:
    if not columns.header:
        yield from _headless(path, rows, columns)
        return
    _, header = next(rows, (1, []))
    if not header:
        return
    positions = {name: _position(path, header, name) for name in _named(columns)}
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}: line {number}: {len(row)} columns in {_short(row)}; "
                f"expected {len(header)}: {_one_line(', '.join(header))}"
            )
        if [row[0].removeprefix(MARK), *row[1:]] == header:
            raise DataError(
                f"{path}: line {number}: the header again, as in joined files; remove it, and a "
                "byte-order mark (BOM) before it"
            )
        yield number, {name: row[at] for name, at in positions.items()}


def _headless(path: Path, rows: Iterator[tuple[int, list[str]]], columns: Columns) -> Values:
    """Rows of a table whose columns have numbers; extra columns are ignored."""
    names = _named(columns)
    if not all(name.isdecimal() and len(name) <= MAX_DIGITS and int(name) for name in names):
        raise DataError(
            f"{path}: read without a header, so columns are numbered from 1; got {_one_line(', '.join(names))}"
        )
    for number, row in rows:
        short = [name for name in names if int(name) > len(row)]
        if short:
            raise MissingColumnError(
                f"{path}: line {number}: {len(row)} columns in {_short(row)}; expected at least {max(map(int, names))}",
                column=short[0],
            )
        yield number, {name: row[int(name) - 1] for name in names}


def _position(path: Path, header: list[str], name: str) -> int:
    if name not in header:
        has = _one_line(", ".join(map(repr, header))) + nearest(name, header)
        raise MissingColumnError(f"{path}: line 1: no column '{name}'; the header has: {has}", column=name)
    if header.count(name) > 1:
        raise DataError(
            f"{path}: line 1: column '{name}' occurs {header.count(name)} times in the header; give each column its "
            f"own name"
        )
    return header.index(name)


def _jsonl(path: Path, text: str, columns: Columns) -> Values:
    rows = list(json_lines(path, text))
    for number, row in rows:
        for name in _named(columns):
            if name not in row:
                message = f"{path}: line {number}: no key '{name}'; the row has: {_one_line(', '.join(row))}"
                if any(name in other for _, other in rows):
                    raise DataError(f"{message}; expected it in every row, as in others, or in none")
                raise MissingColumnError(message + nearest(name, row), column=name)
            if name != columns.label and row[name] is not None and not isinstance(row[name], str):
                raise DataError(f"{path}: line {number}: '{name}' is {row[name]!r}; expected a string")
        yield number, {name: row[name] for name in _named(columns)}


def json_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Json]]]:
    """Objects of a JSON Lines text with their line numbers.

    Raises:
        DataError: A line is not a JSON object, or has a lone surrogate.
    """
    for number, line in _lines(text):
        try:
            row = parse_data(line)
        except JSONDecodeError as error:
            raise DataError(f"{path}: line {number}: not JSON ({error.msg}): {_short(line)}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: {_short(line)} is not a JSON object; expected one per line")
        if "\\ud" in line or "\\uD" in line:  # only an escape can make one
            _check_unicode(path, number, row)
        yield number, row


def _check_unicode(path: Path, number: int, row: dict[str, Json]) -> None:
    """Refuse strings that cannot be written to a file: such a label would make an export fail after training."""
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        odd = error.object[error.start]
        raise DataError(f"{path}: line {number}: holds the lone surrogate {odd!r}; expected valid Unicode") from None


def example_of(
    path: Path, values: Mapping[str, Json], columns: Columns, line: int, parse: Parse = one_class
) -> Example:
    """The row that these values make.

    Raises:
        EmptyCellError: A text or the label is empty.
        DataError: The label does not parse.
    """
    for name in filter(None, (columns.text, columns.text_pair)):
        if name in values and is_blank(values[name]):
            raise EmptyCellError(
                f"{place_in(path, line)}: '{name}' is {_short(values[name])}; expected a text that is not blank"
            )
    label = None
    if columns.label in values:
        try:
            label = parse(values[columns.label])
        except ValueError as error:
            shown = _short(values[columns.label])
            refusal = EmptyCellError if is_blank(values[columns.label]) else DataError
            raise refusal(f"{place_in(path, line)}: '{columns.label}' is {shown}; expected {error}") from None
    pair = values.get(columns.text_pair)
    return Example(str(values[columns.text]), None if pair is None else str(pair), label, line, str(path))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _short(value: object, limit: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= limit else shown[:limit] + "…"
