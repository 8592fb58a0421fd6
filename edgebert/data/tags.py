"""Tag schemes: one tag per word, and the spans of words that tags mark. Standard library only."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from edgebert.errors import DataError

LOG = logging.getLogger(__name__)

# WORDS: tags without prefixes (parts of speech), each for one word; internally and in predictions they have B-.
Scheme = Literal["BIO", "BIOES", "IOB1", "WORDS"]
OnInvalid = Literal["refuse", "repair"]

OUTSIDE = "O"
PREFIXES: dict[Scheme, str] = {"BIO": "BI", "BIOES": "BIES", "IOB1": "IB", "WORDS": "B"}


class Span(NamedTuple):
    """An entity: its type, its first word, and the word after its last one."""

    label: str
    first: int
    end: int


def spans(tags: Sequence[str]) -> list[Span]:
    """Find the entities that tags mark, in order; invalid sequences are read as seqeval and conlleval do.

    An entity begins at every tag other than O that does not continue the one before. So one reading fits every scheme
    (BIO is IOB2). Tjong Kim Sang and Buchholz 2000, "Introduction to the CoNLL-2000 shared task: chunking".
    """
    found: list[Span] = []
    before, first = OUTSIDE, 0
    for at, tag in enumerate([*tags, OUTSIDE]):
        if before[0] in "BI" and tag[0] in "IE" and tag[2:] == before[2:]:
            before = tag
            continue
        if before != OUTSIDE:
            found.append(Span(before[2:], first, at))
        before, first = tag, at
    return found


def tags_of(entities: Iterable[Span], length: int, scheme: Scheme) -> list[str]:
    """Make the tags of a text of `length` words from its entities; the reverse of `spans`.

    Raises:
        ValueError: An entity overlaps another, is empty, or is outside the text.
    """
    tags = [OUTSIDE] * length
    for span in sorted(entities, key=lambda span: span.first):
        if not 0 <= span.first < span.end <= length:
            raise ValueError(f"{span.label} of words {span.first} to {span.end} is outside a text of {length} words")
        if tags[span.first : span.end] != [OUTSIDE] * (span.end - span.first):
            raise ValueError(f"{span.label} of words {span.first} to {span.end} overlaps another entity")
        follows_its_kind = span.first > 0 and tags[span.first - 1][2:] == span.label
        prefixes = _prefixes(span.end - span.first, scheme, follows_its_kind)
        tags[span.first : span.end] = [f"{prefix}-{span.label}" for prefix in prefixes]
    return tags


def _prefixes(length: int, scheme: Scheme, follows_its_kind: bool) -> str:
    if scheme == "BIOES":
        return "S" if length == 1 else "B" + "I" * (length - 2) + "E"
    if scheme == "WORDS":
        return "B" * length
    first = "B" if scheme == "BIO" or follows_its_kind else "I"
    return first + "I" * (length - 1)


def is_tag(tag: str, scheme: Scheme) -> bool:
    """Whether a string is O, or one of the scheme's prefixes, a hyphen and a type."""
    return tag == OUTSIDE or (len(tag) > 2 and tag[0] in PREFIXES[scheme] and tag[1] == "-")


def may_follow(before: str, tag: str, scheme: Scheme) -> bool:
    """Whether a scheme allows `tag` directly after `before`; a text starts after O and ends before O."""
    if scheme == "WORDS":
        return True
    goes_on = before[0] in "BI" and tag[2:] == before[2:]
    if scheme == "BIOES":
        return goes_on and tag[0] in "IE" if before[0] in "BI" else tag[0] in "OBS"
    # The tag that must follow a tag of its own type: I in BIO, and B in IOB1, where it separates two entities of one
    # type.
    return goes_on or tag[0] != ("I" if scheme == "BIO" else "B")


def repaired(tags: Sequence[str], scheme: Scheme) -> list[str]:
    """Rewrite tags in a scheme, with the entities that `spans` finds; valid tags are unchanged."""
    return tags_of(spans(tags), len(tags), scheme)


def tag_set(types: Iterable[str], scheme: Scheme) -> list[str]:
    """Every tag that a scheme has for these types, O first."""
    return [OUTSIDE, *(f"{prefix}-{kind}" for kind in types for prefix in PREFIXES[scheme])]


def check_tags(tags: Sequence[str], scheme: Scheme) -> None:
    """Refuse a list of tags that cannot be those of a model.

    Raises:
        ValueError: O is missing in a scheme that needs it, a tag occurs twice, or one is not a tag of the scheme.
    """
    if (OUTSIDE not in tags and scheme != "WORDS") or len(set(tags)) < len(tags):
        raise ValueError(f"the tags lack {OUTSIDE!r} or hold one twice")
    for tag in tags:
        if not is_tag(tag, scheme):
            raise ValueError(f"tag {tag!r:.60} is not a tag of the scheme {scheme}")


def types_of(tags: Iterable[str]) -> list[str]:
    """The distinct types in tags, sorted."""
    return sorted({tag[2:] for tag in tags if tag != OUTSIDE})


class TagCheck:
    """Checks the tags of one file against a scheme. Invalid ones are counted, then refused or repaired.

    Call it with the tags of each text, and call `finish` after the last one.
    """

    def __init__(self, path: Path, scheme: Scheme, on_invalid: OnInvalid) -> None:
        """Check the tags of the file `path`, which messages name."""
        self.path, self.scheme, self.on_invalid = path, scheme, on_invalid
        self.broken = 0
        self._first = ""

    def __call__(self, tags: Sequence[str], lines: Sequence[int]) -> tuple[str, ...]:
        """Return the tags of one text, repaired if they are invalid.

        Args:
            tags: One tag per word.
            lines: The line number of each tag.

        Raises:
            DataError: A string is not a tag of the scheme at all.
        """
        if self.scheme == "WORDS":
            tags = [tag if not tag or is_tag(tag, "WORDS") else f"B-{tag}" for tag in tags]
        for tag, line in zip(tags, lines, strict=True):
            if not is_tag(tag, self.scheme):
                allowed = ", ".join(f"{prefix}-TYPE" for prefix in PREFIXES[self.scheme])
                raise DataError(f"{self.path}: line {line}: {tag!r:.60} is no {self.scheme} tag; expected O, {allowed}")
        right = repaired(tags, self.scheme)
        for tag, expected, line in zip(tags, right, lines, strict=True):
            if tag != expected:
                self._first = self._first or f"line {line}: tag {tag!r} where {self.scheme} has {expected!r}"
                self.broken += 1
        return tuple(right)

    def finish(self) -> None:
        """Refuse the file if it had invalid tags, or log how many were repaired.

        Raises:
            DataError: There were invalid tags, and the settings say not to repair them.
        """
        if not self.broken:
            return
        tags = f"{self.broken} tag{'s' * (self.broken > 1)}"
        if self.on_invalid == "refuse":
            raise DataError(
                f"{self.path}: {self._first} ({tags} like this in the file); correct the file, or set "
                'head.scheme or head.invalid_tags = "repair" in the recipe'
            )
        LOG.warning("%s: repaired %s, the first at %s", self.path, tags, self._first)
