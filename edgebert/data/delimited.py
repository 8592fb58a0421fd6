"""Split delimited text into rows of cells: TSV, and CSV in the dialects of spreadsheets. Standard library only."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgebert.data.columns import Delimiter, Quotes
from edgebert.errors import DataError

if TYPE_CHECKING:
    import _csv

Rows = Iterator[tuple[int, list[str]]]

CHARACTERS: dict[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
QUOTES: dict[str, str] = {"double": '"', "single": "'"}
# The largest cell size that fits a C long on every platform; Python's default limit of 131,072 would refuse long
# documents.
MAX_CELL = 2**31 - 1
# Excel's own line before the header.
_STATED = re.compile(r'"?sep=([^\w"\r\n])"?(?=\r?\n)', re.IGNORECASE)


class Dialect(NamedTuple):
    """How a file separates cells: the delimiter, the quote (None: quotes are text), spaces behind a delimiter."""

    delimiter: str
    quote: str | None
    skips_spaces: bool = False


def stated_delimiter(text: str) -> tuple[str, str]:
    """Read Excel's first line `sep=;`: the delimiter ("" without such a line), and the text with that line blank."""
    found = _STATED.match(text)
    return (found[1], text[found.end() :]) if found else ("", text)


def dialect_of(
    suffix: str, text: str, delimiter: Delimiter, quotes: Quotes, wanted: Sequence[str], stated: str = ""
) -> Dialect:
    """Find the dialect of a table.

    The recipe's settings come first, then the file's own. Otherwise a `.tsv` has tabs and literal quotes, as in GLUE. A
    `.csv` has double quotes; its delimiter is the one of comma, semicolon, tab and pipe with which the header has all
    wanted columns, or most of them, or most columns.

    Args:
        suffix: `.tsv` or `.csv`.
        text: The whole file.
        delimiter: The recipe's setting.
        quotes: The recipe's setting.
        wanted: Columns that the header must have; empty if there is no header.
        stated: The delimiter in the file's first line; "" if it states none.
    """
    literal = suffix == ".tsv" if delimiter == "suffix" else delimiter == "tab"
    quote = (None if literal else '"') if quotes == "suffix" else QUOTES.get(quotes)
    if delimiter != "suffix" or suffix == ".tsv" or stated:
        chosen = CHARACTERS.get(delimiter, stated or "\t")
        return Dialect(chosen, quote, not literal and bool(wanted) and _is_spaced(text, Dialect(chosen, quote)))
    if not wanted:
        return Dialect(",", quote)
    dialects = [Dialect(character, quote, spaced) for character in CHARACTERS.values() for spaced in (False, True)]
    return max(dialects, key=lambda dialect: _fit(_first(text, dialect), wanted))


def nearest(name: str, names: Iterable[str]) -> str:
    """Ask whether a similar name was meant; "" if none is similar."""
    found = get_close_matches(name[:100], [other[:100] for other in names], n=1)
    return f"; did you mean {found[0]!r}?" if found else ""


def split(path: Path, text: str, dialect: Dialect) -> Rows:
    """Split into rows, with the line on which each begins; blank lines are skipped.

    Raises:
        DataError: A quote is not closed, or text follows a closing quote; names the line.
    """
    if dialect.quote is None and not dialect.skips_spaces:
        return _plain(text, dialect.delimiter)
    return _quoted(path, text, dialect)


def _plain(text: str, delimiter: str) -> Rows:
    # Quotes are literal: a csv reader would swallow rows after a stray one.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() or delimiter in line:  # a tab alone is a row of two empty cells
            yield number, line.removesuffix("\r").split(delimiter)


def _quoted(path: Path, text: str, dialect: Dialect) -> Rows:
    csv.field_size_limit(MAX_CELL)
    reader = _reader(text, dialect)
    last = 0
    try:
        for row in reader:
            if row:
                yield last + 1, row
            last = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}: line {last + 1}: not valid CSV ({error}); check its quotes") from None


def _reader(text: str, dialect: Dialect) -> _csv.Reader:
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        quoting=csv.QUOTE_NONE if dialect.quote is None else csv.QUOTE_MINIMAL,
        skipinitialspace=dialect.skips_spaces,
        strict=True,
    )


def _first(text: str, dialect: Dialect) -> list[str]:
    """Cells of the header; empty if it is not valid."""
    try:
        return next((row for row in _reader(text, dialect) if row), [])
    except csv.Error:
        return []


def _fit(header: Sequence[str], wanted: Sequence[str]) -> tuple[bool, int, int]:
    """Score how well a header fits: whether it has every wanted column, how many of them, how many columns in total."""
    found = len(set(wanted) & set(header))
    return found == len(set(wanted)), found, 0 if found == len(set(wanted)) else len(header)


def _is_spaced(text: str, dialect: Dialect) -> bool:
    """Whether every cell of the header except the first begins with a space."""
    rest = _first(text, dialect)[1:]
    return bool(rest) and all(cell.startswith(" ") for cell in rest)
