"""Read JSON from untrusted files, such as manifests and results, strictly. Standard library only."""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from io import BufferedReader
from json import JSONDecodeError, JSONDecoder, decoder, scanner
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    # A value of a JSON document. Tables and lists are read-only types, so that a dict of numbers is one too.
    Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
else:
    # `edgebert.settings.fill` accepts any value of a document for it; resolving the real type costs start-up time.
    Json = object

MAX_DEPTH = 64
# Python refuses to print an int of more than 4,300 digits, and a double holds no more than 309.
MAX_DIGITS = 309
# Bytes that some editors write before the first character of a UTF-8 file.
MARK = "\ufeff"
MARKED = "it begins with a byte-order mark (BOM); save it as UTF-8 without one"


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; never wait for a pipe, and never read a device.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags)
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        raise OSError("a folder, not a regular file" if stat.S_ISDIR(mode) else "not a regular file")
    return os.fdopen(number, "rb")


def read_json(path: Path, most: int = 64 << 20) -> Json:
    """Read a JSON file with a size limit; see `parse_json`.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
        ValueError: Not a strict JSON document; the message says why in one line.
    """
    with open_regular(path) as opened:
        data = opened.read(most + 1)
    if len(data) > most:
        raise ValueError(f"larger than {most >> 20} MB")
    return parse_json(data.decode("utf-8"))


def parse_json(text: str, finite: bool = True) -> Json:
    """Parse a JSON document whose values can all be computed with, printed and written again.

    Args:
        text: The document.
        finite: Whether to refuse NaN and Infinity, which JSON does not have but Python writes.

    Raises:
        ValueError: Not JSON, a key twice in one object, NaN or Infinity, a number that no double holds, a lone
            surrogate, or values nested more than 64 deep.
    """
    if text.startswith(MARK):
        raise ValueError(MARKED)
    try:
        document: Json = json.loads(text, **(HOOKS if finite else {**HOOKS, "parse_constant": float}))
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    _check_values(document)
    return document


def table_of(document: Json) -> dict[str, Json]:
    """Check that a document is an object, and return it.

    Raises:
        ValueError: It is not an object.
    """
    if not isinstance(document, dict):
        raise ValueError(f"it holds {str(document)[:40]!r}, not an object")
    return document


def as_json(rows: Mapping[str, object]) -> dict[str, Json]:
    """Convert typed rows to plain JSON values."""
    return cast("dict[str, Json]", rows)


def parse_data(text: str) -> Json:
    """Parse a JSON value of a data file; its reader checks the depth and the strings of what it uses.

    Raises:
        JSONDecodeError: Not JSON, nested too deeply, a key twice in one object, NaN or Infinity, or a number that no
            double holds; The position is that character, or the object around it.
    """
    try:
        value: Json = json.loads(text, **HOOKS)
    except JSONDecodeError:
        raise
    except RecursionError:
        raise JSONDecodeError("nested too deeply", text, 0) from None
    except ValueError as error:
        raise JSONDecodeError(str(error), text, _fault(text)) from None
    return value


def _fault(text: str) -> int:
    """Find the start of the innermost object that one of the parser's hooks refuses; the first object if unknown."""
    found = [0]

    def parse_object(state: tuple[str, int], *more: object) -> object:
        try:
            return decoder.JSONObject(state, *more)  # type: ignore[attr-defined]
        except ValueError:
            found[0] = found[0] or state[1] - 1
            raise

    slow = JSONDecoder(**HOOKS)
    slow.parse_object = parse_object  # type: ignore[attr-defined]
    slow.scan_once = scanner.py_make_scanner(slow)  # type: ignore[attr-defined]
    with contextlib.suppress(ValueError, RecursionError):
        slow.decode(text)
    return found[0]


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits:.40} is too large")
    return value


def _sized(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"the number {digits:.20}… has {len(digits)} digits; at most {MAX_DIGITS} are read")
    value = int(digits)
    _finite(digits)
    return value


def _distinct(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    table = dict(pairs)
    if len(table) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {twice!r:.60} occurs twice in one object")
    return table


HOOKS: dict[str, Any] = {
    "parse_constant": _no_constant,
    "parse_float": _finite,
    "parse_int": _sized,
    "object_pairs_hook": _distinct,
}


def _check_values(document: Json) -> None:
    """Check depth and strings, without recursion."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        for text in (value for value in level if isinstance(value, str)):
            _check_text(text)
        tables = [value for value in level if isinstance(value, dict)]
        for key in (key for table in tables for key in table):
            _check_text(key)
        inner = [value for table in tables for value in table.values()]
        level = inner + [item for value in level if isinstance(value, list) for item in value]
    raise ValueError(f"nested more than {MAX_DEPTH} deep")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(f"the lone surrogate {text[error.start]!r} is not valid Unicode") from None
