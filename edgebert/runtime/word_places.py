"""Find the token at which each word of a text is read, in one of its windows."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from edgebert.runtime.encode import Encoded

BORDERLESS = 1 << 30

# Window and row of a word's first token; None for a word without one.
Place = tuple[int, int] | None


def word_places(windows: Sequence[Encoded], count: int) -> list[Place]:
    """Window and row of the first token of every word, for a text encoded word by word.

    If several windows contain the word, the one where it is furthest from a border is used (the first one if equal).
    The text's own start and end are not borders. A token that continues a word from the previous window is at a border,
    and an earlier window has the word's start, so it is never used as a first token.
    """
    firsts = [_first_tokens(window) for window in windows]
    rows = [[row for row, word in enumerate(window.words) if word is not None] for window in windows]
    return _furthest(firsts, rows, count)


def text_places(windows: Sequence[Encoded], words: Sequence[tuple[int, int]]) -> list[Place]:
    """The same for a text encoded in one piece: the first token that overlaps the word.

    Args:
        windows: Windows with the character range of each token (`Encoded.offsets`).
        words: Ranges of the words, in order and without overlap. Neighbours with the same first token get the same
            result.
    """
    starts, ends = [start for start, _ in words], [end for _, end in words]
    firsts = [_first_touching(window, starts, ends) for window in windows]
    rows = [[row for row, offset in enumerate(window.offsets) if offset is not None] for window in windows]
    return _furthest(firsts, rows, len(words))


def sharing(places: Sequence[Place]) -> list[tuple[int, int]]:
    """Ranges of neighbouring words that are read at the same token; ranges of one word if no token is shared."""
    starts = [at for at, place in enumerate(places) if not at or place is None or place != places[at - 1]]
    return list(zip(starts, [*starts[1:], len(places)], strict=True))


def _first_tokens(window: Encoded) -> Iterator[tuple[int, int]]:
    """Words of a window, each with the row of its first token."""
    seen = None
    for row, word in enumerate(window.words):
        if word is not None and word != seen:
            seen = word
            yield word, row


def _first_touching(window: Encoded, starts: Sequence[int], ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Words of a window, each with the first row that overlaps it."""
    following = 0
    for row, offset in enumerate(window.offsets):
        if offset is not None:
            begin, stop = max(following, bisect_right(ends, offset[0])), bisect_left(starts, offset[1])
            yield from ((word, row) for word in range(begin, stop))
            following = max(following, stop)


def _furthest(firsts: Sequence[Iterator[tuple[int, int]]], rows: Sequence[Sequence[int]], count: int) -> list[Place]:
    """For every word, the occurrence furthest from a border.

    Args:
        firsts: For each window its words, and the row of each.
        rows: For each window the rows of the text's own tokens.
        count: Words of the text.
    """
    places: list[Place] = [None] * count
    margins = [-1] * count
    last = len(rows) - 1
    for number, (found, own) in enumerate(zip(firsts, rows, strict=True)):
        for word, row in found:
            before = row - own[0] if number else BORDERLESS
            after = own[-1] - row if number < last else BORDERLESS
            if min(before, after) > margins[word]:
                margins[word], places[word] = min(before, after), (number, row)
    return places
