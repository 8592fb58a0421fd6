"""The section that shows runs and machines side by side, without ratios between them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from edgebert.measure.document import CaseRow, RatioRow
from edgebert.report import plots
from edgebert.report.cases import faster_cell, figure_cell, quality_cell
from edgebert.report.numbers import between, short, times
from edgebert.report.parts import Cell, Column, Plot, Section, Table, table
from edgebert.report.ratios import interval_of, ratio_of, shown_interval
from edgebert.report.run import Run, lengths_of
from edgebert.report.verdict import name_of, steadiness

Entry = tuple[Run, CaseRow]


def compare_section(runs: Sequence[Run]) -> Section:
    """Every run's bundles side by side."""
    entries = [(run, case) for run in runs if run.cases for case in run.bundles()]
    drawn = [
        plots.Span(f"{run.label}: {name_of(case)}", ratio["value"], *interval)
        for run, case in entries
        if (ratio := ratio_of(run, case)) and (interval := interval_of(ratio)) and interval[0] > 0
    ]
    plot = Plot(
        "Times faster, each inside its own run",
        "; ".join(f"{row.name} {times(row.value)}, {between(row.low, row.high)}" for row in drawn),
        "Each ratio is of a bundle and the baseline of the same run, with its 95% interval.",
        70 + 40 * len(drawn),
        partial(plots.spans, rows=drawn),
    )
    about = (
        "Ratios are only computed inside one run. Times and memory of different runs are shown side by side as "
        "measured; machines, texts and conditions may differ."
    )
    tables = [_runs(runs), _bundles(entries) if entries else None, _agreement(runs)]
    held = tuple(part for part in tables if part)
    return Section("Runs side by side", about, (plot,) if drawn else (), held)


def _runs(runs: Sequence[Run]) -> Table:
    columns: list[Column[Run]] = [
        ("run", lambda run: Cell(run.label)),
        ("machine", lambda run: Cell(run.machine, f"{run.environment.get('cores', '?')} cores")),
        ("data", _data_cell),
        ("disturbed", _disturbed_cell),
        ("intervals", lambda run: Cell(run.interval_remark)),
    ]
    return table("Runs", columns, runs, ("machine", "data", "disturbed", "intervals"))


def _bundles(entries: Sequence[Entry]) -> Table:
    columns: list[Column[Entry]] = [
        ("run", lambda entry: Cell(entry[0].label)),
        ("bundle", lambda entry: Cell(name_of(entry[1]), entry[1]["bundle_hash"][:10], mark="bundle")),
        ("conditions", _conditions_cell),
        ("baseline p50 ms", _baseline_cell),
        ("p50 ms", lambda entry: figure_cell("p50_ms", "p50_ci")(entry[1])),
        ("faster", lambda entry: faster_cell(*entry)),
        ("cold start ms", lambda entry: figure_cell("cold_start_ms", none=entry[0].start_remark(entry[1]))(entry[1])),
        ("peak RSS MB", lambda entry: figure_cell("peak_rss_mb")(entry[1])),
        ("model MB", lambda entry: figure_cell("size_mb")(entry[1])),
        ("quality", lambda entry: quality_cell(entry[1])),
    ]
    return table("Bundles, each beside the baseline of its own run", columns, entries, ("bundle", "conditions"))


def _agreement(runs: Sequence[Run]) -> Table | None:
    """For bundles measured again under the same conditions: whether the intervals of their ratios overlap."""
    found: dict[tuple[str, ...], list[tuple[Run, RatioRow]]] = {}
    for run in runs:
        for case in run.cases:
            if ratio := ratio_of(run, case):
                found.setdefault((*_conditions(run, case), ratio["what"]), []).append((run, ratio))
    repeated = [(key[-1], taken) for key, taken in found.items() if len(taken) > 1]
    columns: list[Column[tuple[str, list[tuple[Run, RatioRow]]]]] = [
        ("ratio", lambda row: Cell(row[0])),
        ("each run's", lambda row: Cell("; ".join(_told(ratio) for _, ratio in row[1]))),
        ("intervals of the ratio", lambda row: Cell(_overlap(row[1]))),
    ]
    caption = "The same bundles on the same machine, measured again"
    return table(caption, columns, repeated, ("each run's", "intervals of the ratio")) if repeated else None


def _conditions(run: Run, case: CaseRow) -> tuple[str, ...]:
    """What two runs of a case must share for their ratios to be comparable."""
    data, baseline, server = (found or {} for found in (run.document.get("data"), run.baseline(), case.get("server")))
    shared = (run.machine, data.get("sha256"), baseline.get("bundle_hash"))
    of_case = (case[key] for key in ("bundle_hash", "target", "runtime", "threads", "batch"))
    return tuple(map(str, (*shared, *of_case, server.get("bound_ms"), server.get("percent"))))


def _told(ratio: RatioRow) -> str:
    return f"{times(ratio['value'])} ({shown_interval(ratio)})"


def _overlap(taken: Sequence[tuple[Run, RatioRow]]) -> str:
    """Whether some value is in every interval, and whether the intervals have the same method."""
    intervals = [interval_of(ratio) for _, ratio in taken]
    known = [interval for interval in intervals if interval]
    if len(known) < len(intervals):
        return "not every run has one"
    overlap = max(low for low, _ in known) <= min(high for _, high in known)
    methods = {run.interval_method for run, _ in taken}
    return ("overlap" if overlap else "do not overlap") + (", by different methods" if len(methods) > 1 else "")


def _data_cell(run: Run) -> Cell | None:
    data = run.document.get("data")
    return Cell(str(data.get("file", "")), str(data.get("sha256", ""))[:10]) if data else None


def _disturbed_cell(run: Run) -> Cell:
    disturbed = steadiness(run).disturbed
    return Cell({True: "yes", False: "no", None: "not recorded"}[disturbed])


def _conditions_cell(entry: Entry) -> Cell:
    case = entry[1]
    threads = f"{case['threads']} thread{'s' * (case['threads'] != 1)}"
    return Cell(f"{lengths_of(case)}, {threads}", f"{case['runtime']}, {case['target']}")


def _baseline_cell(entry: Entry) -> Cell | None:
    baseline = entry[0].baseline()
    p50_ms = baseline.get("p50_ms") if baseline else None
    return Cell(short(p50_ms)) if p50_ms else None
