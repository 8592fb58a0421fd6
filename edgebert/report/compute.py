"""The section about what the processor does: work, peak reached, time of every operator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebert.report.cases import variant_cell
from edgebert.report.numbers import number, plain, scaled, share, short
from edgebert.report.parts import Cell, Column, Section, Table, table
from edgebert.report.run import Case, Run, lengths_of

MOST = 12


def compute_section(run: Run) -> Section | None:
    """Roofline and operators, where the result holds them."""
    tables = [_roofline(run), _peaks(run), *(_operators(case) for case in run.cases if case.get("operators"))]
    held = tuple(part for part in tables if part)
    about = "The peak is what this machine reached in a probe of matrix products alone, not a data sheet's figure."
    return Section("Compute", about if _roofline(run) else "", tables=held) if held else None


def _roofline(run: Run) -> Table | None:
    cases = [case for case in run.cases if case.get("roofline")]
    columns: list[Column[Case]] = [
        ("variant", variant_cell),
        ("lengths", lambda case: Cell(lengths_of(case))),
        ("multiply-adds", lambda case: _large(case, "macs", "MAC")),
        ("memory moved", lambda case: _large(case, "bytes", "B")),
        ("reached GMAC/s", lambda case: _figure(case, "reached_gmacs")),
        ("peak GMAC/s", lambda case: _figure(case, "peak_gmacs")),
        ("share of peak", _share),
    ]
    return table("Share of the measured peak", columns, cases, ("lengths",)) if cases else None


def _peaks(run: Run) -> Table | None:
    """What the probe of matrix products alone gave, by the number of rows."""
    probe = run.environment.get("gemm") or {}
    found = {(row.get("rows"), row.get("precision")): row for row in probe.get("peaks") or []}
    precisions = list(dict.fromkeys(precision for _, precision in found))
    columns: list[Column[int]] = [("rows (tokens)", lambda rows: Cell(plain(rows)))]
    columns += [(f"{plain(each).upper()} GMAC/s", _peak(found, each)) for each in precisions]
    caption = f"Matrix products alone, threads: {plain(probe.get('threads'))}"
    return table(caption, columns, list(dict.fromkeys(rows for rows, _ in found))) if found else None


def _peak(found: dict[tuple[Any, Any], dict[str, object]], precision: str) -> Callable[[int], Cell | None]:
    def cell(rows: int) -> Cell | None:
        reached = number(found.get((rows, precision), {}).get("gmacs"))
        return None if reached is None else Cell(short(reached))

    return cell


def _large(case: Case, key: str, unit: str) -> Cell | None:
    value = number(case["roofline"].get(key))
    return None if value is None else Cell(scaled(value, unit))


def _figure(case: Case, key: str) -> Cell | None:
    value = number(case["roofline"].get(key))
    return None if value is None else Cell(short(value))


def _share(case: Case) -> Cell | None:
    value = number(case["roofline"].get("share"))
    return None if value is None else Cell(share(value), bar=min(1.0, max(0.0, value)))


def _operators(case: Case) -> Table:
    """Time of every kind of operator, the slowest first."""
    rows = sorted(case["operators"], key=lambda row: -(number(row.get("us")) or 0.0))
    columns: list[Column[dict[str, object]]] = [
        ("operator", lambda row: Cell(plain(row.get("op")))),
        ("nodes", lambda row: Cell(plain(row.get("count")))),
        ("µs", lambda row: _value(row, "us")),
        ("share", _row_share),
    ]
    more = f", the slowest {MOST} of {len(rows)}" if len(rows) > MOST else ""
    return table(f"Time by operator: {case['variant']}, {lengths_of(case)}{more}", columns, rows[:MOST])


def _value(row: dict[str, object], key: str) -> Cell | None:
    value = number(row.get(key))
    return None if value is None else Cell(short(value))


def _row_share(row: dict[str, object]) -> Cell | None:
    value = number(row.get("share"))
    return None if value is None else Cell(share(value), bar=min(1.0, max(0.0, value)))
