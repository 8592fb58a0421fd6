"""Checks that make a bench fail: a bundle's figure against a limit, or against an earlier result."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebert.errors import InputError
from edgebert.measure.document import CaseRow, GateRow, ResultDocument
from edgebert.measure.read import read_result, role_of
from edgebert.runtime.quality import QualityRow

FIELDS = {
    "p50": "p50_ms",
    "p90": "p90_ms",
    "p99": "p99_ms",
    "mean": "mean_ms",
    "cold_start": "cold_start_ms",
    "peak_rss": "peak_rss_mb",
    "size": "size_mb",
    "throughput": "throughput",
    "quality": "quality",
}
FORM = re.compile(r"\s*(?P<metric>\w+)\s*(?P<sign>[<>])\s*(?P<limit>-?\d+(\.\d+)?)(?P<times>x:(?P<file>.+))?\s*")
SAME_CASE = ("variant", "target", "runtime", "scenario", "batch", "lengths", "threads")
# Scenario of each metric, if it is not `single_stream`.
HOMES = {"throughput": ("offline",), "cold_start": ("cold_start",)}
MACHINE = ("cpu", "machine", "cores", "gpu")


@dataclass(frozen=True)
class Gate:
    """One check: it fails if the figure is on the stated side of the limit.

    With `previous`, an earlier result, `limit` is a factor on its figure. Without it, `limit` is in the metric's own
    unit (milliseconds, MB of 10^6 bytes, texts per second, the quality metric's value).
    """

    text: str
    metric: str
    fails_above: bool
    limit: float
    file: str | None = None
    previous: ResultDocument | None = None

    def fails(self, value: float, limit: float) -> bool:
        """Whether a figure is on the wrong side of a limit; a missing number is on neither side."""
        return not value <= limit if self.fails_above else not value >= limit


def read_gate(text: str) -> Gate:
    """Parse one check, and read the earlier result that it names.

    Args:
        text: `METRIC>VALUE`, `METRIC<VALUE`, `METRIC>FACTORx:FILE` or `METRIC<FACTORx:FILE`.

    Raises:
        InputError: It does not have that form, the metric is unknown, or the file is not a result with such a figure
            for a bundle.
    """
    form = FORM.fullmatch(text)
    if not form:
        example = "'p50>1.1x:results/prev.json' or 'quality<0.89'"
        raise InputError(f"--fail-if {text!r}: not a check; write METRIC, > or <, and a limit, such as {example}")
    metric, limit, file = form["metric"], float(form["limit"]), form["file"]
    if metric not in FIELDS:
        raise InputError(f"--fail-if {text!r}: unknown metric '{metric}'; known: {', '.join(FIELDS)}")
    if not math.isfinite(limit):
        raise InputError(f"--fail-if {text!r}: the limit is too large for a number; give a smaller one")
    if limit < 0 and metric != "quality" and not file:
        raise InputError(
            f"--fail-if {text!r}: the limit is {form['limit']}, and no {metric} is below 0; give another one"
        )
    if not file:
        return Gate(text, metric, form["sign"] == ">", limit)
    if limit <= 0:
        raise InputError(f"--fail-if {text!r}: the factor is {form['limit']}; give one above 0")
    previous = read_result(Path(file))
    if not _holding(previous["cases"], metric):
        raise InputError(f"--fail-if {text!r}: {file} holds no {metric} of a bundle; give a result that does")
    return Gate(text, metric, form["sign"] == ">", limit, file, previous)


def judge(gates: Sequence[Gate], document: ResultDocument) -> list[GateRow]:
    """Evaluate checks on a finished result.

    A check uses the bundles' cases of the scenario for its metric (`single_stream`; `offline` for throughput,
    `cold_start` for cold starts), or of other scenarios if that one was not measured. A comparison with an earlier
    result uses every case that both have. A check with a fixed value uses natural lengths if they were measured, since
    one value does not fit all lengths. A check without a matching case fails.

    Returns:
        One row per check and case: `gate`, `failed`, `case`, `value`, `limit`, and for a comparison `previous`, `file`.
    """
    return [row for gate in gates for row in _judge(gate, document["cases"])]


def describe(row: GateRow) -> str:
    """Describe a row of `judge` in one line."""
    outcome = "FAILED" if row["failed"] else "passed"
    if row["value"] is None or row["limit"] is None:
        return f"fail-if {row['gate']}: {outcome}: no case of a bundle to look at"
    text = f"fail-if {row['gate']}: {outcome}: {row['case']}: {row['value']:.6g}, limit {row['limit']:.6g}"
    return text if row["previous"] is None else f"{text} (earlier {row['previous']:.6g})"


def warnings(gates: Sequence[Gate], document: ResultDocument) -> list[str]:
    """Warn about every earlier result that was measured under other conditions, one line each."""
    lines: dict[str, None] = {}
    for gate in gates:
        if gate.previous is None:
            continue
        then, now = gate.previous["environment"], document["environment"]
        for key in MACHINE:
            if then.get(key) != now.get(key):
                what = f"{gate.file}: another machine ({key} {then.get(key)!r}, here {now.get(key)!r})"
                lines[f"warning: {what}; times and memory of two machines cannot be compared"] = None
                break
        lines |= dict.fromkeys(_other_figures(gate, gate.previous, document))
        if (gate.previous.get("data") or {}).get("sha256") != (document.get("data") or {}).get("sha256"):
            lines[f"warning: {gate.file}: other texts (the data's SHA-256 differs); compare with care"] = None
    return list(lines)


def _other_figures(gate: Gate, earlier: ResultDocument, document: ResultDocument) -> Iterator[str]:
    """Say what a metric meant when the earlier result was written, if the meaning has changed."""
    if gate.metric in ("p90", "p99") and "intervals" in document and "intervals" not in earlier:
        what = "percentiles there are of all processes together, here the mean of every process's own"
        yield f"warning: {gate.file}: {what}; they differ where processes do"
    hashed = any(case.get("hashed") for case in document["cases"])
    if gate.metric == "cold_start" and hashed and not any(case.get("hashed") for case in earlier["cases"]):
        yield f"warning: {gate.file}: cold starts there leave out checking the hashes of the bundle's files"


def _judge(gate: Gate, cases: Sequence[CaseRow]) -> list[GateRow]:
    """Rows of one check, from the first scenario with matching cases."""
    held = _holding(cases, gate.metric)
    before = _holding(gate.previous["cases"], gate.metric) if gate.previous else []
    earlier = {_key(case): case for case in before}
    for scenario in (*HOMES.get(gate.metric, ()), "single_stream", None):
        found = [case for case in held if scenario in (None, case["scenario"])]
        if gate.previous is None:
            rows = [_row(gate, case, gate.limit, None) for case in _headline(found)]
        else:
            pairs = [(case, _value(earlier[_key(case)], gate.metric)) for case in found if _key(case) in earlier]
            rows = [_row(gate, case, gate.limit * previous, previous) for case, previous in pairs]
        if rows:
            return rows
    return [_empty(gate)]


def _row(gate: Gate, case: CaseRow, limit: float, previous: float | None) -> GateRow:
    value = _value(case, gate.metric)
    return {
        "gate": gate.text,
        "failed": gate.fails(value, limit),
        "case": f"{case['variant']}, {case['scenario']}, {_lengths(case)}, {case['runtime']}",
        "value": value,
        "limit": limit,
        "previous": previous,
        "file": gate.file,
    }


def _empty(gate: Gate) -> GateRow:
    nothing: GateRow = {
        "gate": gate.text,
        "failed": True,
        "case": None,
        "value": None,
        "limit": None,
        "previous": None,
        "file": gate.file,
    }
    return nothing


def _holding(cases: Sequence[CaseRow], metric: str) -> list[CaseRow]:
    held = [case for case in cases if role_of(case) == "bundle" and case.get(FIELDS[metric]) is not None]
    return [case for case in held if metric != "quality" or _says_something(case.get("quality"))]


def _says_something(quality: QualityRow | None) -> bool:
    return quality is not None and not quality.get("lacks")


def _headline(cases: Sequence[CaseRow]) -> list[CaseRow]:
    return [case for case in cases if case["lengths"] == "natural"] or list(cases)


def _value(case: CaseRow, metric: str) -> float:
    quality = case.get("quality")
    figure = quality["value"] if metric == "quality" and quality else case.get(FIELDS[metric])
    assert isinstance(figure, int | float)  # as the result was checked
    return float(figure)


def _key(case: CaseRow) -> tuple[object, ...]:
    return (*(case.get(name) for name in SAME_CASE), case.get("arena") is not False)


def _lengths(case: CaseRow) -> str:
    return "natural lengths" if case["lengths"] == "natural" else f"{case['lengths']} tokens"
