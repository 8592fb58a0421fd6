"""Text that is safe to show on one line: no line breaks, no terminal escapes. Standard library only."""

from __future__ import annotations

import unicodedata

# Line breaks, terminal escapes and lone surrogates; other format characters (joiners, soft hyphens) belong to text.
UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
# They reverse the order in which a terminal or a page shows what follows.
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
