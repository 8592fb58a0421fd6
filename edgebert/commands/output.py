"""Write what commands show: JSON or text to stdout, notes to stderr."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence

from edgebert.data.named import Named
from edgebert.escape import escaped, shortened
from edgebert.streams import put

# A line of facts about a model of many layers is shorter.
MAX_CELL = 500


def write_json(document: object) -> None:
    """Write one JSON document to stdout; characters that a terminal obeys or the encoding lacks are escaped.

    NaN and infinity, which JSON does not have, become null.
    """
    document = _finite(document)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if encodable(text) != text or escaped(text, "\n") != text:
        text = json.dumps(document, indent=2)
    put(text + "\n")


def write_json_line(document: object) -> None:
    """Write a JSON document to stdout as one line.

    Characters that end a line elsewhere, or that a terminal obeys, are escaped.
    """
    document = _finite(document)
    text = json.dumps(document, ensure_ascii=False)
    if encodable(text) != text or escaped(text) != text:
        text = json.dumps(document)
    put(text + "\n")


def _finite(value: object) -> object:
    """Replace every number that is not finite by None."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write(text: str) -> None:
    """Write a line of the answer, or the lines of a table, to stdout; terminal escapes are shown, not obeyed."""
    put(encodable(escaped(text, "\n\t")) + "\n")


def note(text: str) -> None:
    """Write a one-line note, which is not part of the answer, to stderr."""
    sys.stderr.write(escaped(text, "\t") + "\n")


def named_columns(arguments: argparse.Namespace) -> Named:
    """Columns of a data file that command line options name."""
    return Named(
        arguments.text_column,
        arguments.pair_column,
        arguments.label_column,
        arguments.tags_column,
        arguments.delimiter,
        not arguments.no_header,
        arguments.skip_empty,
    )


def encodable(text: str) -> str:
    """Escape characters that stdout's encoding lacks: a Windows pipe has an encoding of 256 characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format an aligned text table. The caller formats numbers; very long cells are cut."""
    cells = [[escaped(shortened(str(cell), MAX_CELL)) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
