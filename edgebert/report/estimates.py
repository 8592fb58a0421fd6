"""The section of estimated figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgebert.report.numbers import plain, words
from edgebert.report.parts import Cell, Column, Section, table
from edgebert.report.run import Run


def estimates_section(run: Run) -> Section | None:
    """All estimates in the result, whatever their keys, separate from measurements."""
    rows = run.document.get("estimates") or []
    if not rows:
        return None
    keys = list(dict.fromkeys(key for row in rows for key in row))
    columns: list[Column[Mapping[str, object]]] = [(words(key), _cell(key)) for key in keys]
    spoken = [words(key) for key in keys if any(isinstance(row.get(key), str | dict | list) for row in rows)]
    about = (
        "Nothing here was measured. These figures are computed from a model of the hardware; a machine of that kind "
        "may be slower or faster."
    )
    return Section("Estimates", about, tables=(table("Computed, not measured", columns, rows, spoken),), estimated=True)


def _cell(key: str) -> Callable[[Mapping[str, object]], Cell | None]:
    def cell(row: Mapping[str, object]) -> Cell | None:
        text = plain(row.get(key))
        return Cell(text) if text else None

    return cell
