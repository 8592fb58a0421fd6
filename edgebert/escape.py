"""Text that is safe to show on one line: no line breaks, no terminal escapes. Standard library only."""

from __future__ import annotations

import unicodedata

# Line breaks, terminal escapes and lone surrogates; other format characters (joiners, soft hyphens) belong to text.
UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
# They reverse the order in which a terminal or a page displays the text.
BIDIRECTIONAL = {*map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}


def escaped(text: str, keep: str = "") -> str:
    r"""Replace control characters, line separators, lone surrogates and direction marks by backslash escapes.

    Args:
        text: Any string.
        keep: Characters to leave as they are, such as a tab.

    Example: `escaped("a\nb")` is `a\\nb`.
    """
    if text.isprintable():
        return text
    return "".join(character if character in keep else _safe(character) for character in text)


def _safe(character: str) -> str:
    unsafe = unicodedata.category(character) in UNSAFE or character in BIDIRECTIONAL
    return character.encode("unicode_escape").decode("ascii") if unsafe else character


def name_fault(text: str) -> str:
    """Say why a string cannot be part of a file name and of a result, and what to do; "" if it can."""
    if "\0" in text:
        return "holds the character U+0000; leave it out"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "is not UTF-8; write it in UTF-8, or rename the file"
    return ""


def shown_value(value: object, characters: int = 40) -> str:
    """The beginning of a value as Python writes it, for a message that refuses it.

    A whole number of more than 4,300 digits cannot be written, nor what an object's own `__repr__` fails at.
    """
    try:
        return repr(value)[:characters]
    except Exception:  # noqa: BLE001 - whatever an object of the caller raises
        return "too long to show" if isinstance(value, int) else "not to be shown"


def shortened(text: str, characters: int = 200) -> str:
    """Return a text, cut to this many characters with a mark if it is longer."""
    return text if len(text) <= characters else text[:characters] + "…"
