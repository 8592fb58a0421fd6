"""Skip rows with an empty cell if the user asks for it, and report how many. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebert.data.examples import Example
from edgebert.errors import DataError

SHOWN = 5


class Rows(list[Example]):
    """Rows of a data file, and the lines of rows that were skipped because of an empty cell."""

    def __init__(self, rows: Sequence[Example]) -> None:
        """Keep the rows that are not marked as empty."""
        super().__init__(row for row in rows if not row.empty)
        self.skipped = tuple(row.line for row in rows if row.empty)


def without_empty(path: Path, rows: Sequence[Example]) -> Rows:
    """Leave out the rows that are marked as empty.

    Raises:
        DataError: No rows are left.
    """
    kept = Rows(rows)
    if not kept:
        raise DataError(f"{path}: every row has an empty cell; name the columns of the text and the label")
    return kept


def note_of_skipped(path: Path, rows: Rows) -> str:
    """The message on stderr about skipped rows; "" if there are none."""
    return skipped_of(path, len(rows), len(rows.skipped), rows.skipped)


def skipped_of(path: Path, kept: int, skipped: int, lines: Sequence[int], unit: str = "line") -> str:
    """The same message from counts. `lines` are the locations of at least the first `SHOWN` skipped rows."""
    shown = ", ".join(map(str, lines[:SHOWN])) + (", …" if skipped > SHOWN else "")
    said = f"{path}: skipped {skipped} of {kept + skipped} rows with an empty cell"
    return f"{said} ({unit}{'s' * (skipped != 1)} {shown})" if skipped else ""
