"""Sections about the cost of speed: quality over latency, and the effect of every stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edgebert.measure.document import CaseRow
from edgebert.measure.read import role_of
from edgebert.report import bars, plots
from edgebert.report.cases import quality_cell
from edgebert.report.numbers import number, plain, short, times
from edgebert.report.parts import Cell, Column, Plot, Section, Table, table
from edgebert.report.ratios import difference_of
from edgebert.report.run import Run, defined_quality
from edgebert.report.titles import compared
from edgebert.runtime.quality import QualityRow, labels_unknown, units_in


def quality_section(run: Run) -> Section | None:
    """Quality over latency, and the paired tests."""
    tables = tuple(part for part in (_quality_table(run), _pairs_table(run)) if part)
    points, metric = _points(run)
    plot = Plot(
        "Quality over latency",
        "; ".join(f"{point.variant}: {point.quality:.4f} at {short(point.p50_ms)} ms" for point in points),
        "Up and to the left is better; the line joins the variants that no other one beats in both. Bars are each "
        "variant's own 95% "
        "interval: variants answer the same texts, so their difference is more certain than the bars suggest.",
        300,
        partial(plots.frontier, points=points, metric=metric),
    )
    about = " ".join(f"{line}." for line in labels_unknown(case.get("quality") for case in run.headline_cases()))
    return Section("Quality", about, (plot,) if len(points) > 1 else (), tables) if tables else None


def stages_section(run: Run) -> Section | None:
    """The stage waterfall."""
    rows = [row for row in (run.document.get("waterfall") or []) if number(row.get("p50_ms"))]
    if len(rows) < 2:
        return None
    steps = [
        bars.Step(name, run.role(name), number(row.get("p50_ms")) or 0.0, number(row.get("faster")))
        for name, row in ((str(row.get("variant")), row) for row in rows)
    ]
    plot = Plot(
        "Stage waterfall",
        "; ".join(f"{step.variant}: {short(step.p50_ms)} ms" for step in steps),
        "Median latency after each stage and the gain over the stage before; the pale part is what the stage removed.",
        70 + 40 * len(steps),
        partial(bars.waterfall, steps=steps),
    )
    columns: list[Column[Mapping[str, object]]] = [
        ("stage", lambda row: Cell(str(row.get("variant")), mark=run.role(str(row.get("variant"))))),
        ("p50 ms", _figure("p50_ms", short)),
        ("faster", _figure("faster", times)),
        ("model MB", _figure("size_mb", short)),
        ("smaller", _figure("smaller", times)),
        ("quality", _figure("quality", "{:.4f}".format)),
    ]
    return Section("Stages", "", (plot,), (table("Effect of every stage, relative to the row before", columns, rows),))


def _points(run: Run) -> tuple[list[plots.Point], str]:
    """Variants with latency and quality in one metric, and the metric's name."""
    metric, points = "", []
    for case in run.headline_cases():
        quality, p50_ms = defined_quality(case), case.get("p50_ms")
        if not quality or not p50_ms:
            continue
        metric = metric or quality["metric"]
        low, high = quality.get("ci_low"), quality.get("ci_high")
        interval = None if low is None or high is None else (low, high)
        if quality["metric"] == metric:
            points.append(plots.Point(case["variant"], role_of(case), p50_ms, quality["value"], interval))
    return points, metric.replace("_", " ")


def _quality_table(run: Run) -> Table | None:
    """Every variant's metric, and its difference from the baseline's."""
    scored = [(case, quality) for case in run.headline_cases() if (quality := case.get("quality"))]
    columns: list[Column[tuple[CaseRow, QualityRow]]] = [
        ("variant", lambda row: Cell(row[0]["variant"], mark=role_of(row[0]))),
        ("metric", lambda row: Cell(row[1]["metric"].replace("_", " "))),
        ("value", lambda row: quality_cell(row[0])),
        (units_in([quality for _, quality in scored]), lambda row: Cell(plain(row[1].get("n")))),
        ("points", lambda row: _points_cell(run, row[0])),
    ]
    caption = "Quality, and points (hundredths) over the baseline"
    return table(caption, columns, scored, ("metric",)) if scored else None


def _points_cell(run: Run, case: CaseRow) -> Cell | None:
    """Difference from the baseline, with its paired interval if the result has one."""
    baseline = run.baseline()
    before, after = defined_quality(baseline), defined_quality(case)
    if not baseline or not before or not after or case is baseline or before["metric"] != after["metric"]:
        return None
    difference = difference_of(run, baseline["variant"], case["variant"])
    low, high = (number(difference.get(key)) if difference else None for key in ("ci_low", "ci_high"))
    interval = "" if low is None or high is None else f"{100 * low:+.2f} to {100 * high:+.2f}"
    return Cell(f"{100 * (after['value'] - before['value']):+.2f}", interval)


def _pairs_table(run: Run) -> Table | None:
    pairs = [pair for pair in (run.document.get("pairs") or []) if compared(str(pair.get("what", "")))]
    columns: list[Column[Mapping[str, object]]] = [
        ("pair", lambda pair: Cell(str(pair["what"]))),
        ("only the first right", lambda pair: Cell(plain(pair.get("only_first")))),
        ("only the second right", lambda pair: Cell(plain(pair.get("only_second")))),
        ("texts", lambda pair: Cell(plain(pair.get("n")))),
        ("p", _figure("p_value", "{:.3f}".format)),
    ]
    caption = "McNemar's test on the same texts: p is the probability of such an uneven split by chance"
    return table(caption, columns, pairs) if pairs else None


def _figure(key: str, form: Callable[[float], str]) -> Callable[[Mapping[str, object]], Cell | None]:
    def cell(row: Mapping[str, object]) -> Cell | None:
        value = number(row.get(key))
        return None if value is None else Cell(form(value))

    return cell
