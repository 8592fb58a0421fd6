"""CoNLL columns: a word per line, its tag in another column, a blank line between sentences. Standard library only."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from edgebert.data.examples import Example
from edgebert.data.tags import OUTSIDE, TagCheck
from edgebert.data.text_file import read_text, text_lines
from edgebert.errors import DataError

DOCUMENT_START = "-DOCSTART-"

# Only these: a no-break space may be part of a word.
_BLANKS = re.compile(r"[ \t]+")


def read_conll(path: Path, check: TagCheck, token_column: int = 0, tag_column: int = -1) -> list[Example]:
    """Read every sentence of a file; `label` is the tuple of its tags.

    Columns are separated by tabs if the first word's line has one, else by spaces. Lines that begin with -DOCSTART- are
    skipped. There are no comments: `#` is a word.

    Args:
        path: The file, or the `.gz` of one.
        check: Checks that the tags follow their scheme.
        token_column: Column of the word: from 0 on the left, or from -1 on the right.
        tag_column: Column of the tag, counted the same way.

    Raises:
        DataError: The file cannot be used; the message names file, line and value.
    """
    columns = _Columns(path, token_column, tag_column)
    examples: list[Example] = []
    sentence: list[tuple[str, str]] = []
    start = 0
    for number, line in chain(text_lines(read_text(path)), [(0, "")]):
        if line.strip() and not line.startswith(DOCUMENT_START):
            start = start if sentence else number
            sentence.append(columns.word_and_tag(number, line))
        elif sentence:
            words, tags = zip(*sentence, strict=True)
            checked = check(tags, range(start, start + len(tags)))
            examples.append(Example(" ".join(words), None, checked, start, str(path), words, word_a_line=True))
            sentence = []
    if not examples:
        raise DataError(f"{path}: holds no sentence; expected one word and its tag per line")
    return examples


def looks_like_columns(path: Path, tag_column: int = -1) -> bool:
    """Whether the first non-blank line has a tag where one should be."""
    lines = (line for _, line in text_lines(read_text(path)) if line.strip() and not line.startswith(DOCUMENT_START))
    first = next(lines, "")
    cells = _cells(first, "\t" in first)
    if len(cells) < 2 or not -len(cells) <= tag_column < len(cells):
        return False
    return cells[tag_column] == OUTSIDE or re.fullmatch(r"[BIES]-\S+", cells[tag_column]) is not None


class _Columns:
    """Reads word and tag from the lines of one file, which all have as many columns as the first."""

    def __init__(self, path: Path, token_column: int, tag_column: int) -> None:
        self.path, self.token, self.tag = path, token_column, tag_column
        self.tabs, self.width = False, 0

    def word_and_tag(self, number: int, line: str) -> tuple[str, str]:
        if not self.width:
            self.tabs = "\t" in line
            self.width = len(_cells(line, self.tabs))
            self._check_columns(number, line)
        cells = _cells(line, self.tabs)
        if len(cells) != self.width:
            parted = "tabs" if self.tabs else "blanks"
            raise DataError(
                f"{self.path}: line {number}: {len(cells)} columns in {line!r:.60}; "
                f"expected {self.width}, separated by {parted}, as in the lines before"
            )
        if not cells[self.token]:
            raise DataError(f"{self.path}: line {number}: no word in column {self.token} of {line!r:.60}; expected one")
        return cells[self.token], cells[self.tag]

    def _check_columns(self, number: int, line: str) -> None:
        for name, column in (("token_column", self.token), ("tag_column", self.tag)):
            if not -self.width <= column < self.width:
                raise DataError(
                    f"{self.path}: line {number}: {self.width} columns in {line!r:.60}; head.{name} is {column}, "
                    f"expected {-self.width} to {self.width - 1}"
                )
        if self.token % self.width == self.tag % self.width:
            raise DataError(
                f"{self.path}: line {number}: {self.width} columns in {line!r:.60}; "
                f"expected the word in column {self.token} and its tag in column {self.tag}, which are the same"
            )


def _cells(line: str, tabs: bool) -> list[str]:
    return [cell.strip(" ") for cell in line.split("\t")] if tabs else _BLANKS.split(line.strip(" \t"))
