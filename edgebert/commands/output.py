"""What commands write: JSON or text on stdout, notes on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any


def write_json(document: Any) -> None:  # noqa: ANN401
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def write(text: str) -> None:
    """A line of the answer, on stdout."""
    sys.stdout.write(text + "\n")


def note(text: str) -> None:
    """A remark that is not the answer, on stderr."""
    sys.stderr.write(text + "\n")


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned text table; numbers are the caller's to format."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
