"""Sections about what was paid for speed: quality over latency, and what every stage gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from edgebert.data.unknown import labels_unknown
from edgebert.measure.read import role_of
from edgebert.report import bars, plots
from edgebert.report.cases import quality_cell
from edgebert.report.numbers import number, plain, short, times
from edgebert.report.parts import Cell, Column, Plot, Section, Table, table
from edgebert.report.ratios import compared, difference_of
from edgebert.report.run import Case, Run, defined_quality


def quality_section(run: Run) -> Section | None:
    """Quality over latency, and the paired tests."""
    tables = tuple(part for part in (_quality_table(run), _pairs_table(run)) if part)
    points, metric = _points(run)
    plot = Plot(
        "Quality over latency",
        "; ".join(f"{point.variant}: {point.quality:.4f} at {short(point.p50_ms)} ms" for point in points),
        "Up and to the left is better; the line joins what nothing else beats in both. Bars are each variant's own 95% "
        "interval: variants answer the same texts, so that their difference is surer than the bars suggest.",
        300,
        partial(plots.frontier, points=points, metric=metric),
    )
    about = " ".join(f"{line}." for line in labels_unknown(case.get("quality") or {} for case in run.headline_cases()))
    return Section("Quality", about, (plot,) if len(points) > 1 else (), tables) if tables else None


def stages_section(run: Run) -> Section | None:
    """The stage waterfall."""
    rows = [row for row in run.rows("waterfall") if number(row.get("p50_ms"))]
    if len(rows) < 2:
        return None
    named = [(str(row.get("variant")), row) for row in rows]
    steps = [bars.Step(name, run.role(name), float(row["p50_ms"]), number(row.get("faster"))) for name, row in named]
    plot = Plot(
        "Stage waterfall",
        "; ".join(f"{step.variant}: {short(step.p50_ms)} ms" for step in steps),
        "Median latency after each stage and the gain over the stage before; pale is what the stage took away.",
        70 + 40 * len(steps),
        partial(bars.waterfall, steps=steps),
    )
    columns: list[Column[dict[str, object]]] = [
        ("stage", lambda row: Cell(str(row.get("variant")), mark=run.role(str(row.get("variant"))))),
        ("p50 ms", _figure("p50_ms", short)),
        ("faster", _figure("faster", times)),
        ("model MB", _figure("size_mb", short)),
        ("smaller", _figure("smaller", times)),
        ("quality", _figure("quality", "{:.4f}".format)),
    ]
    return Section("Stages", "", (plot,), (table("What every stage gave, over the row before", columns, rows),))


def _points(run: Run) -> tuple[list[plots.Point], str]:
    """Variants with latency and quality of one metric, and that metric's name."""
    cases = [case for case in run.headline_cases() if defined_quality(case) and number(case.get("p50_ms"))]
    metric = cases[0]["quality"]["metric"] if cases else ""
    points = []
    for case in cases:
        quality = case["quality"]
        bounds = (quality.get("ci_low"), quality.get("ci_high"))
        interval = bounds if None not in bounds else None
        if quality["metric"] == metric:
            points.append(plots.Point(case["variant"], role_of(case), case["p50_ms"], quality["value"], interval))
    return points, str(metric).replace("_", " ")


def _quality_table(run: Run) -> Table | None:
    """Every variant's metric and how it differs from the baseline's."""
    cases = [case for case in run.headline_cases() if case.get("quality")]
    columns: list[Column[Case]] = [
        ("variant", lambda case: Cell(case["variant"], mark=role_of(case))),
        ("metric", lambda case: Cell(str(case["quality"]["metric"]).replace("_", " "))),
        ("value", quality_cell),
        (_units(cases), lambda case: Cell(plain(case["quality"].get("n")))),
        ("points", lambda case: _points_cell(run, case)),
    ]
    caption = "Quality, and points (hundredths) over the baseline"
    return table(caption, columns, cases, ("metric",)) if cases else None


def _units(cases: Sequence[Case]) -> str:
    """What the metrics count: texts, or queries with all of their documents."""
    return next((str(case["quality"]["counts"]) for case in cases if "counts" in case["quality"]), "texts")


def _points_cell(run: Run, case: Case) -> Cell | None:
    """Difference to the baseline, with its paired interval where the result holds one."""
    baseline = run.baseline()
    before, after = defined_quality(baseline or {}), defined_quality(case)
    if not baseline or not before or not after or case is baseline or before["metric"] != after["metric"]:
        return None
    difference = difference_of(run, baseline["variant"], case["variant"]) or {}
    low, high = number(difference.get("ci_low")), number(difference.get("ci_high"))
    interval = "" if low is None or high is None else f"{100 * low:+.2f} to {100 * high:+.2f}"
    return Cell(f"{100 * (after['value'] - before['value']):+.2f}", interval)


def _pairs_table(run: Run) -> Table | None:
    pairs = [pair for pair in run.rows("pairs") if compared(str(pair.get("what", "")))]
    columns: list[Column[dict[str, object]]] = [
        ("pair", lambda pair: Cell(str(pair["what"]))),
        ("only the first right", lambda pair: Cell(plain(pair.get("only_first")))),
        ("only the second right", lambda pair: Cell(plain(pair.get("only_second")))),
        ("texts", lambda pair: Cell(plain(pair.get("n")))),
        ("p", _figure("p_value", "{:.3f}".format)),
    ]
    caption = "McNemar's test on the same texts: p is how often chance alone would split them so unevenly"
    return table(caption, columns, pairs) if pairs else None


def _figure(key: str, form: Callable[[float], str]) -> Callable[[dict[str, object]], Cell | None]:
    def cell(row: dict[str, object]) -> Cell | None:
        value = number(row.get(key))
        return None if value is None else Cell(form(value))

    return cell
