"""The section about the processor: work, share of peak, time of every operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from edgebert.measure.document import CaseRow, RooflineRow
from edgebert.measure.job import Operator
from edgebert.report.cases import variant_cell
from edgebert.report.numbers import number, plain, scaled, share, short
from edgebert.report.parts import Cell, Column, Section, Table, table
from edgebert.report.run import Run, lengths_of

MOST = 12


def compute_section(run: Run) -> Section | None:
    """Roofline and operators, if the result has them."""
    operators = [_operators(case, found) for case in run.cases if (found := case.get("operators"))]
    tables = [_roofline(run), _peaks(run), *operators]
    held = tuple(part for part in tables if part)
    about = "The peak was measured on this machine with matrix products only; it is not from a data sheet."
    return Section("Compute", about if _roofline(run) else "", tables=held) if held else None


def _roofline(run: Run) -> Table | None:
    found = [(case, roofline) for case in run.cases if (roofline := case.get("roofline"))]
    columns: list[Column[tuple[CaseRow, RooflineRow]]] = [
        ("variant", lambda row: variant_cell(row[0])),
        ("lengths", lambda row: Cell(lengths_of(row[0]))),
        ("multiply-adds", lambda row: _large(row[1], "macs", "MAC")),
        ("memory moved", lambda row: _large(row[1], "bytes", "B")),
        ("reached GMAC/s", lambda row: _value(row[1], "reached_gmacs")),
        ("peak GMAC/s", lambda row: _value(row[1], "peak_gmacs")),
        ("share of peak", lambda row: _share(row[1])),
    ]
    return table("Share of the measured peak", columns, found, ("lengths",)) if found else None


def _peaks(run: Run) -> Table | None:
    """Measured rates of matrix products, by the number of rows."""
    probe = run.environment.get("gemm") or {}
    found = {(row["rows"], row["precision"]): row["gmacs"] for row in probe.get("peaks") or []}
    precisions = list(dict.fromkeys(precision for _, precision in found))[:MOST]
    columns: list[Column[int]] = [("rows (tokens)", lambda rows: Cell(plain(rows)))]
    columns += [(f"{each.upper()} GMAC/s", _peak(found, each)) for each in precisions]
    caption = f"Only matrix products, threads: {plain(probe.get('threads'))}"
    return table(caption, columns, list(dict.fromkeys(rows for rows, _ in found))) if found else None


def _peak(found: Mapping[tuple[int, str], float], precision: str) -> Callable[[int], Cell | None]:
    """A cell with the rate at some rows, in one precision."""

    def cell(rows: int) -> Cell | None:
        reached = found.get((rows, precision))
        return None if reached is None else Cell(short(reached))

    return cell


def _operators(case: CaseRow, operators: Sequence[Operator]) -> Table:
    """Time of every operator type, the slowest first."""
    rows = sorted(operators, key=lambda row: -(number(row.get("us")) or 0.0))
    columns: list[Column[Mapping[str, object]]] = [
        ("operator", lambda row: Cell(plain(row.get("op")))),
        ("nodes", lambda row: Cell(plain(row.get("count")))),
        ("µs", lambda row: _value(row, "us")),
        ("share", _share),
    ]
    more = f", the slowest {MOST} of {len(rows)}" if len(rows) > MOST else ""
    return table(f"Time by operator: {case['variant']}, {lengths_of(case)}{more}", columns, rows[:MOST])


def _large(row: Mapping[str, object], key: str, unit: str) -> Cell | None:
    value = number(row.get(key))
    return None if value is None else Cell(scaled(value, unit))


def _value(row: Mapping[str, object], key: str) -> Cell | None:
    value = number(row.get(key))
    return None if value is None else Cell(short(value))


def _share(row: Mapping[str, object]) -> Cell | None:
    value = number(row.get("share"))
    return None if value is None else Cell(share(value), bar=min(1.0, max(0.0, value)))
