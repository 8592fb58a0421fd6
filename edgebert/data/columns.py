"""Which columns of a data file hold what, and how a table is written; also part of manifests. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Delimiter = Literal["suffix", "tab", "comma", "semicolon", "pipe"]
Quotes = Literal["suffix", "double", "single", "none"]


@dataclass(frozen=True)
class Columns:
    """Names of the columns (or JSON keys) with the text, its pair and its label; "" for none.

    A table without a header names its columns by number, counted from "1". `delimiter` and `quotes` follow from the
    file's suffix unless they are set. `skip_empty` marks rows with an empty cell instead of refusing the file.
    """

    text: str = "text"
    text_pair: str = ""
    label: str = "label"
    header: bool = True
    delimiter: Delimiter = "suffix"
    quotes: Quotes = "suffix"
    skip_empty: bool = False


def columns_fault(columns: Columns) -> str:
    """Say why rows cannot be read with these columns; "" if they can."""
    if not columns.text:
        return "text is ''; expected the name of the column that holds the text"
    if columns.label and columns.label in (columns.text, columns.text_pair):
        return f"label is {columns.label!r:.60}, the column of a text; expected a column of its own, or ''"
    return ""
