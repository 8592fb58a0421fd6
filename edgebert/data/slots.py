"""The three-file slot format: words, tags and intents of a split, line by line. Standard library only."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from edgebert.data.examples import Example
from edgebert.data.tags import TagCheck
from edgebert.data.text_file import read_text, text_lines
from edgebert.errors import DataError

WORDS, TAGS, INTENTS = "seq.in", "seq.out", "label"

_BLANKS = re.compile(r"[ \t]+")


def slot_folder(path: Path) -> Path | None:
    """The folder of a split, given by itself or by its `seq.in`; None for any other file."""
    return path if path.is_dir() else path.parent if path.name == WORDS else None


def read_slots(folder: Path, check: TagCheck, with_intents: bool) -> list[Example]:
    """Read a split; `label` is (intent, tags), or the tags alone.

    Args:
        folder: Folder with `seq.in`, `seq.out` and, if intents are read, `label`.
        check: Checks that the tags follow their scheme.
        with_intents: Whether to read `label`.

    Raises:
        DataError: It is not such a folder, a file is missing, or lines or words do not match. The message names file,
            line and value.
    """
    if folder.is_dir() and not (folder / WORDS).is_file():
        raise DataError(_other_folder(folder, with_intents))
    words, tags = _lines(folder / WORDS), _lines(folder / TAGS)
    intents = _lines(folder / INTENTS) if with_intents else words
    for name, lines in ((TAGS, tags), (INTENTS, intents)):
        if len(lines) != len(words):
            raise DataError(f"{folder / name}: {len(lines)} lines; expected {len(words)}, as many as {WORDS} has")
    examples = []
    for number, (text, text_tags, intent) in enumerate(zip(words, tags, intents, strict=True), 1):
        if not text and (text_tags or (with_intents and intent)):
            raise DataError(
                f"{folder / WORDS}: line {number}: no words; expected some, because the other files have this line"
            )
        if text:
            example = _example(folder, number, _cells(text), _cells(text_tags), check)
            examples.append(_with_intent(example, folder, intent) if with_intents else example)
    return examples


def _other_folder(folder: Path, with_intents: bool) -> str:
    """Say what to give instead of a folder that is not a split."""
    three = f"{WORDS}, {TAGS} and {INTENTS}" if with_intents else f"{WORDS} and {TAGS}"
    columns = "" if with_intents else ", a file of CoNLL columns"
    inside = sorted(path.parent.name for path in folder.glob(f"*/{WORDS}"))
    one = f"one of its folders {', '.join(inside)}" if inside else f"a folder that holds {three}"
    return f"{folder}: a folder without {WORDS}, so not the three-file slot format; give {one}{columns}, or a .jsonl"


def _example(folder: Path, number: int, words: list[str], tags: list[str], check: TagCheck) -> Example:
    if len(tags) != len(words):
        raise DataError(
            f"{folder / TAGS}: line {number}: {len(tags)} tags in {' '.join(tags)!r:.60}; "
            f"expected {len(words)}, one for each word of {WORDS} there"
        )
    checked = check(tags, [number] * len(tags))
    return Example(" ".join(words), None, checked, number, str(folder / WORDS), tuple(words))


def _with_intent(example: Example, folder: Path, intent: str) -> Example:
    if not intent:
        raise DataError(f"{folder / INTENTS}: line {example.line}: no intent; expected one for {example.text!r:.60}")
    return replace(example, label=(intent, example.label))


def _lines(path: Path) -> list[str]:
    lines = [line.strip(" \t") for _, line in text_lines(read_text(path))]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _cells(line: str) -> list[str]:
    return _BLANKS.split(line) if line else []
