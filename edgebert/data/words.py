"""Texts that are already split into words, and how a raw text is split."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgebert.errors import TextError

# Finds the ranges of a text that a tokenizer reads as one token each.
FindTokens = Callable[[str], Sequence[tuple[int, int]]]

WORD, MARK, SYMBOL, IDEOGRAPH = "word", "mark", "symbol", "ideograph"

_STRETCH = re.compile(r"\S+")
_NAME = re.compile(r"\w")
_INITIALS = re.compile(r"[A-Z]\.|(?:[^\W\d_]\.){2,}")

# The blocks that BERT's tokenizer treats as Chinese characters, each a token of its own.
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@dataclass(frozen=True)
class Words:
    """A text that is already split; positions of entities refer to the words joined by single spaces."""

    words: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse anything but a tuple: a string would be read letter by letter."""
        if not isinstance(self.words, tuple):
            raise TextError(f"words is {type(self.words).__name__} {self.words!r:.40}; give a tuple of strings")

    def __str__(self) -> str:
        """The text."""
        return " ".join(map(str, self.words))


def split_words(text: str, tokens: Sequence[tuple[int, int]] = ()) -> list[tuple[int, int]]:
    """Split a raw text into words, as character ranges (start, end).

    White space separates words. Punctuation marks and symbols at either end of a word are words of their own; a run of
    one mark, or of symbols, is one word. Every Chinese character is a word. `@` and `#` stay with the word after them,
    and the period stays with initials ("U.S.", "J. K.", "a.m."). Each character except white space is in exactly one
    word.

    `tokens` are ranges, in order and without overlap, that a tokenizer reads as one token each. Each is one word,
    without white space at its ends; a range of only white space is not a word.
    """
    found: list[tuple[int, int]] = []
    begin = 0
    for first, end in tokens:
        found += _between(text, begin, first)
        inside = text[first:end]
        start = first + len(inside) - len(inside.lstrip())
        if not inside.isspace():
            found.append((start, start + len(inside.strip())))
        begin = end
    return found + _between(text, begin, len(text))


def _between(text: str, begin: int, stop: int) -> list[tuple[int, int]]:
    """Words of a part of a text."""
    found: list[tuple[int, int]] = []
    for match in _STRETCH.finditer(text, begin, stop):
        stretch, start = match.group(), match.start()
        if stretch.isascii() and stretch.isalnum():
            found.append(match.span())
        else:
            found += [(start + first, start + end) for first, end in _split(stretch)]
    return found


@dataclass
class _Run:
    """Neighbouring characters of one kind."""

    kind: str
    first: int
    end: int


def _split(stretch: str) -> list[tuple[int, int]]:
    """Words of a range without white space."""
    found: list[tuple[int, int]] = []
    between: list[_Run] = []
    for run in _runs(stretch):
        if run.kind == IDEOGRAPH:
            found += [*_peeled(stretch, between), (run.first, run.end)]
            between = []
        else:
            between.append(run)
    return found + _peeled(stretch, between)


def _runs(stretch: str) -> list[_Run]:
    runs: list[_Run] = []
    for at, char in enumerate(stretch):
        kind = _kind(stretch, at)
        if runs and (kind is None or _goes_on(stretch, runs[-1], kind, char)):
            runs[-1].end = at + 1
        else:
            runs.append(_Run(kind or WORD, at, at + 1))
    return runs


def _goes_on(stretch: str, run: _Run, kind: str, char: str) -> bool:
    return kind == run.kind and (kind in (WORD, SYMBOL) or (kind == MARK and stretch[run.first] == char))


def _kind(stretch: str, at: int) -> str | None:
    """Kind of a character; None for one that belongs to the character before it (an accent, a joiner)."""
    char = stretch[at]
    category = unicodedata.category(char)
    if category[0] == "M" or category == "Cf":
        return None
    if any(first <= ord(char) <= last for first, last in _IDEOGRAPHS):
        return IDEOGRAPH
    if char == "_" or (char in "@#" and _NAME.match(stretch, at + 1)):
        return WORD
    return {"P": MARK, "S": SYMBOL}.get(category[0], WORD)


def _peeled(stretch: str, runs: list[_Run]) -> list[tuple[int, int]]:
    """Split off the runs at either end; the rest, from the first to the last run of letters, is one word."""
    letters = [at for at, run in enumerate(runs) if run.kind == WORD]
    if not letters:
        return [(run.first, run.end) for run in runs]
    first, last = letters[0], letters[-1]
    period = runs[last + 1] if last + 1 < len(runs) else None
    if period is not None and _INITIALS.fullmatch(stretch[runs[first].first : period.end]):
        last += 1
    word = (runs[first].first, runs[last].end)
    ends = [[(run.first, run.end) for run in part] for part in (runs[:first], runs[last + 1 :])]
    return [*ends[0], word, *ends[1]]
