"""Sections about memory and start of a process."""

from __future__ import annotations

from functools import partial

from edgebert.measure.document import CaseRow
from edgebert.report import bars
from edgebert.report.numbers import number, short
from edgebert.report.parts import Plot, Section
from edgebert.report.run import Run
from edgebert.report.samples import memory_of

MEMORY = {"import": "import", "load": "session", "first": "first answer", "steady": "steady"}
START = {"import_ms": "import", "load_ms": "load", "first_ms": "first answer"}


def memory_section(run: Run) -> Section | None:
    """Peak memory and start time of a fresh process, part by part."""
    plots = [plot for plot in (_memory(run), _start(run)) if plot]
    return Section("Memory and start", "", tuple(plots)) if plots else None


def _memory(run: Run) -> Plot | None:
    cases = run.headline_cases() + run.of_scenario("memory")
    rows = [(_name(case), _increments(marks)) for case in cases if (marks := memory_of(run, case))]
    rows = list({name: values for name, values in rows if any(values)}.items())
    if not rows:
        return None
    return Plot(
        "Memory split",
        "; ".join(f"{name}: {short(sum(values))} MB" for name, values in rows),
        "What each step adds to the peak resident set of a fresh process: its imports, opening the session, the first "
        "answer, then many more.",
        92 + 36 * len(rows),
        partial(bars.stacked, rows=rows, parts=tuple(MEMORY.values()), unit="MB resident at the peak"),
    )


def _start(run: Run) -> Plot | None:
    rows = []
    for case in run.headline_cases():
        parts = [number(case.get(key)) for key in START]
        known = [value for value in parts if value is not None]
        if len(known) == len(START):
            rows.append((case["variant"], known))
    if not rows:
        return None
    return Plot(
        "Cold start split",
        "; ".join(f"{name}: {short(sum(values))} ms" for name, values in rows),
        f"What a fresh process takes to its first answer{_hashing(run)}. Starting the interpreter takes more; the "
        f"table of cases has the total.",
        92 + 36 * len(rows),
        partial(bars.stacked, rows=rows, parts=tuple(START.values()), unit="milliseconds"),
    )


def _hashing(run: Run) -> str:
    """Whether loading includes the check of the bundle's hashes, as in `edgebert.load`."""
    cases = run.headline_cases()
    if any(run.start_remark(case) for case in cases):
        return "; load leaves out checking the hashes of the bundle's files, which edgebert.load does"
    return ", hashes of the bundle's files checked" if any(case.get("hashed") for case in cases) else ""


def _increments(marks: dict[str, float]) -> list[float]:
    """What each mark adds to the highest one before; a peak never falls."""
    increments, reached = [], 0.0
    for name in MEMORY:
        mark = marks.get(name, reached)
        increments.append(max(0.0, mark - reached))
        reached = max(reached, mark)
    return increments


def _name(case: CaseRow) -> str:
    return str(case["variant"]) + (" (arena off)" if case.get("arena") is False else "")
