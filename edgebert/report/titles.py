"""Titles of ratios, differences and pairs: what they compare."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Compared:
    """Two variants and what of them is compared."""

    about: str
    first: str
    second: str


def compared(title: str) -> Compared | None:
    """Parse a title such as `p50, natural lengths: fp32 / bundle`; None if it is none.

    A title comes from a file: it is searched once in each direction, whatever stands in it.
    """
    # The last slash with something behind it; the last colon before that; the first slash behind the colon.
    slash = title.rfind(" / ", 0, len(title) - 1)
    if slash < 1 or "\n" in title:
        return None
    colon = title.rfind(": ", 0, slash - 1)
    start = colon + 2 if colon >= 0 else 0
    slash = title.find(" / ", start + 1)
    return Compared(title[: max(0, colon)], title[start:slash], title[slash + 3 :])
