"""Sections about speed: ratios, distribution, stability, input length."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from edgebert.measure.document import CaseRow, RatioRow
from edgebert.measure.variants import BASELINE
from edgebert.report import plots
from edgebert.report.cases import figure_cell, variant_cell
from edgebert.report.numbers import between, number, short, times
from edgebert.report.parts import Cell, Column, Plot, Section, Table, table
from edgebert.report.ratios import interval_of, shown_interval
from edgebert.report.run import Run, lengths_of
from edgebert.report.samples import rounds_of
from edgebert.report.titles import compared

MOST = 6
MOST_DRAWN = 250


def ratios_section(run: Run) -> Section | None:
    """Every ratio of the run with its interval."""
    ratios = run.ratios
    if not ratios:
        return None
    headline = _headline(run)
    rows = [
        plots.Span(title.second, ratio["value"], *interval)
        for ratio in ratios
        if (title := compared(ratio["what"])) and title.about == headline and (interval := interval_of(ratio))
    ]
    columns: list[Column[RatioRow]] = [
        ("what", lambda ratio: Cell(ratio["what"])),
        ("ratio", lambda ratio: Cell(times(ratio["value"]))),
        ("95% interval of the ratio", lambda ratio: Cell(shown_interval(ratio))),
    ]
    drawn = [row for row in rows if row.low > 0][:MOST_DRAWN]
    plot = Plot(
        f"Times faster: {headline}",
        "; ".join(f"{row.name} {times(row.value)}, {between(row.low, row.high)}" for row in drawn),
        f"The bar is the 95% interval ({run.interval_remark}); the dashed line is the baseline.",
        70 + 40 * len(drawn),
        partial(plots.spans, rows=drawn),
    )
    about = (
        "Baseline divided by candidate, both measured in turns in this run; above 1 the candidate is faster. 95% "
        "intervals: "
        f"{run.interval_remark}."
    )
    return Section("Ratios", about, (plot,) if drawn else (), (table("Every ratio of this run", columns, ratios),))


def distribution_section(run: Run) -> Section | None:
    """Raw latencies of every variant, if their files are beside the result."""
    found = [(case["variant"], rounds) for case in run.headline_cases() if (rounds := rounds_of(run, case))]
    steadiness = _steadiness_table(run)
    if not found:
        return Section("Latency", "", tables=(steadiness,)) if steadiness else None
    pooled = [plots.Samples(variant, run.role(variant), np.concatenate(rounds)) for variant, rounds in found]
    medians = [
        plots.Samples(variant, run.role(variant), np.array([np.median(values) for values in rounds]))
        for variant, rounds in found
    ]
    count = sum(len(each.values) for each in pooled)
    latencies = Plot(
        "Latency distribution",
        "; ".join(f"{each.variant}: p50 {short(float(np.median(each.values)))} ms" for each in pooled),
        f"All {count:,} timed predictions, including slow ones. Ticks under each: p50, p90, p99.",
        76 + 46 * len(pooled),
        partial(plots.distribution, samples=pooled),
    )
    steady = Plot(
        "Steadiness over the run",
        "; ".join(
            f"{each.variant}: rounds between {short(float(each.values.min()))} and {short(float(each.values.max()))} ms"
            for each in medians
        ),
        "The median of every round over the median of all rounds. Lines that move together show a machine whose speed "
        "changed; ratios compare within a round, so they change less.",
        230,
        partial(plots.rounds, medians=medians),
    )
    several = max(len(each.values) for each in medians) > 1
    return Section("Latency", "", (latencies, steady) if several else (latencies,), (steadiness,) if steadiness else ())


def lengths_section(run: Run) -> Section | None:
    """Latency by input length, from the cases with fixed lengths."""
    lines: dict[str, dict[int, float]] = {}
    for case in run.of_scenario("single_stream"):
        p50_ms = number(case.get("p50_ms"))
        if case["lengths"].isdigit() and p50_ms and (case["batch"] == 1):
            lines.setdefault(case["variant"], {})[int(case["lengths"])] = p50_ms
    series = [(variant, sorted(line.items())) for variant, line in lines.items() if len(line) > 1]
    if not series:
        return None
    chosen = [entry for entry in series if run.role(entry[0]) != "stage"] or series
    plot = Plot(
        "Latency over input length",
        "; ".join(f"{name}: {', '.join(f'{short(value)} ms at {at}' for at, value in line)}" for name, line in chosen),
        "Texts of exactly this many tokens, one at a time, without padding.",
        280,
        partial(plots.lengths, series=chosen[:MOST], baseline=BASELINE),
    )
    about = (
        f"The plot has the first {MOST} of {len(chosen)} variants; the table of cases has all."
        if len(chosen) > MOST
        else ""
    )
    columns: list[Column[int]] = [("tokens", lambda length: Cell(str(length)))]
    columns += [(name, _at_length(lines[name])) for name, _ in chosen[:MOST]]
    lengths = sorted({length for name, _ in chosen for length in lines[name]})
    return Section("Input length", about, (plot,), (table("Median latency, milliseconds", columns, lengths),))


def _at_length(line: dict[int, float]) -> Callable[[int], Cell | None]:
    return lambda length: Cell(short(line[length])) if length in line else None


def _steadiness_table(run: Run) -> Table | None:
    """Suspicious samples: outliers, drift inside a process, spread between processes, other load."""
    cases = [case for case in run.cases if any(case.get(key) is not None for key in ("drift", "spread", "others"))]
    columns: list[Column[CaseRow]] = [
        ("variant", variant_cell),
        ("scenario", lambda case: Cell(case["scenario"].replace("_", " "), lengths_of(case))),
        ("samples", lambda case: Cell(f"{case['samples']:,}") if case.get("samples") else None),
        ("outliers kept", _outliers_cell),
        ("last third / first", figure_cell("drift")),
        ("slowest / fastest process", figure_cell("spread")),
        ("cores busy elsewhere", figure_cell("others")),
    ]
    return table("Stability", columns, cases, ("scenario",)) if cases else None


def _outliers_cell(case: CaseRow) -> Cell | None:
    outliers = case.get("outliers") or {}
    count, limit = number(outliers.get("count")), number(outliers.get("limit_ms"))
    return None if count is None else Cell(f"{count:,.0f}", f"over {short(limit)} ms" if limit is not None else "")


def _headline(run: Run) -> str:
    """The subject of the first ratio, the same for every variant of the run's first scenario."""
    titles = (compared(ratio["what"]) for ratio in run.ratios)
    return next((title.about for title in titles if title), "")
