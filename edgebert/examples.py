"""Labelled text on disk: TSV and CSV with a header, JSONL, plain lines; gzip of each. Standard library only."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgebert.errors import DataError

FORMATS = (".tsv", ".csv", ".jsonl", ".txt")


@dataclass(frozen=True)
class Columns:
    """Names of the columns (or JSON keys) that hold the text, its pair and its label; "" where there is none."""

    text: str = "text"
    text_pair: str = ""
    label: str = "label"


@dataclass(frozen=True)
class Example:
    """One row: a text, perhaps a second text, perhaps a label, and the line it stands in (counted from 1)."""

    text: str
    text_pair: str | None
    label: str | None
    line: int


def read_examples(path: Path, columns: Columns) -> list[Example]:
    """Read every row of a data file.

    Args:
        path: A `.tsv`, `.csv`, `.jsonl` or `.txt` (one text a line) file, or the `.gz` of one.
        columns: Which columns to take; a `.txt` file has only the text.

    Raises:
        DataError: Missing, empty, wrongly encoded, a column that is not there, or a row that does not parse;
            the message names file, line, value and what was expected.
    """
    text = _decode(path, _read_bytes(path))
    readers = {".tsv": _tsv, ".csv": _csv, ".jsonl": _jsonl, ".txt": _txt}
    examples = list(readers[_format(path)](path, text, columns))
    if not examples:
        raise DataError(f"{path}: holds no rows; expected a header and at least one row, or JSON lines")
    return examples


def fingerprint(path: Path) -> str:
    """SHA-256 of the file as it lies on disk, in hexadecimal.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path and --data-dir") from None


def _format(path: Path) -> str:
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"{path}: unknown data format '{suffix}'; expected {', '.join(FORMATS)}, or .gz of one")
    return suffix


def _read_bytes(path: Path) -> bytes:
    _format(path)
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path and --data-dir") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); compress it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None


def _decode(path: Path, data: bytes) -> str:
    if not data.strip():
        raise DataError(f"{path}: is empty; expected a header and at least one row, or JSON lines")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        value = data[error.start : error.start + 4]
        raise DataError(f"{path}: line {line}: bytes {value!r} are not UTF-8; convert the file to UTF-8") from None


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.strip():
            yield number, line


def _txt(path: Path, text: str, columns: Columns) -> Iterator[Example]:
    for number, line in _lines(text):
        yield Example(line, None, None, number)


def _tsv(path: Path, text: str, columns: Columns) -> Iterator[Example]:
    # Quotes are literal in TSV, as in GLUE and STS-B: a csv reader would swallow rows after a stray one.
    return _table(path, ((number, line.split("\t")) for number, line in _lines(text)), columns)


def _csv(path: Path, text: str, columns: Columns) -> Iterator[Example]:
    return _table(path, _csv_rows(path, text), columns)


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    last = 0
    try:
        for row in reader:
            if row:
                yield last + 1, row
            last = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}: line {last + 1}: not valid CSV ({error}); check its quotes") from None


def _table(path: Path, rows: Iterator[tuple[int, list[str]]], columns: Columns) -> Iterator[Example]:
    _, header = next(rows, (1, []))
    if not header:
        return
    positions = {name: _position(path, header, name) for name in vars(columns).values() if name}
    for number, row in rows:
        if len(row) != len(header):
            raise DataError(
                f"{path}: line {number}: {len(row)} columns in {_short(row)}; "
                f"expected {len(header)}: {_one_line(', '.join(header))}"
            )
        yield _example(path, {name: row[at] for name, at in positions.items()}, columns, number)


def _position(path: Path, header: list[str], name: str) -> int:
    if name not in header:
        raise DataError(f"{path}: line 1: no column '{name}'; the header has: {_one_line(', '.join(header))}")
    return header.index(name)


def _jsonl(path: Path, text: str, columns: Columns) -> Iterator[Example]:
    for number, line in _lines(text):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", None) or str(error)[:80]
            raise DataError(f"{path}: line {number}: not JSON ({reason}): {_short(line)}") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}: line {number}: {_short(line)} is not a JSON object; expected one a line")
        for name in filter(None, vars(columns).values()):
            if name not in row:
                raise DataError(f"{path}: line {number}: no key '{name}'; the row has: {', '.join(row)}")
            if not isinstance(row[name], str) and not (name == columns.label and type(row[name]) is int):
                raise DataError(f"{path}: line {number}: '{name}' is {row[name]!r}; expected a string")
        yield _example(path, {name: str(row[name]) for name in vars(columns).values() if name}, columns, number)


def _example(path: Path, values: dict[str, str], columns: Columns, line: int) -> Example:
    for name in filter(None, (columns.text, columns.text_pair)):
        if not values[name].strip():
            raise DataError(f"{path}: line {line}: '{name}' is {values[name]!r}; expected a text that is not blank")
    pair = values[columns.text_pair] if columns.text_pair else None
    return Example(values[columns.text], pair, values[columns.label] if columns.label else None, line)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _short(value: object, limit: int = 60) -> str:
    shown = repr(value)
    return shown if len(shown) <= limit else shown[:limit] + "…"
