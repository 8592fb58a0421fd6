"""A report as CSV: one row per case, with every figure in its result, for a spreadsheet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence

from edgebert.escape import escaped
from edgebert.measure.document import CaseRow
from edgebert.report.ratios import ratio_of
from edgebert.report.run import Run

FIRST = ("run", "cpu", "gpu", "data", "data_sha256")
LEFT_OUT = ("operators",)
FORMULA = re.compile(r"(^\s*|;\s*)([=+\-@＝＋－＠])")


def render(runs: Sequence[Run]) -> str:
    """The whole table as text: a column for every key of any case, nested tables as `key.inner`."""
    rows = [_row(run, case) for run in runs for case in run.cases]
    header = list(dict.fromkeys([*FIRST, *(key for row in rows for key in row)]))
    written = io.StringIO()
    writer = csv.DictWriter(written, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return written.getvalue()


def _row(run: Run, case: CaseRow) -> dict[str, object]:
    data = run.document.get("data") or {}
    environment = run.environment
    row: dict[str, object] = {"run": run.label, "cpu": environment.get("cpu"), "gpu": environment.get("gpu")}
    row |= {"data": data.get("file"), "data_sha256": data.get("sha256")}
    for key, value in case.items():
        row |= _flat(key, value)
    ratio = ratio_of(run, case)
    if ratio:
        row |= {"faster": ratio["value"], "faster_low": ratio.get("ci_low"), "faster_high": ratio.get("ci_high")}
    return {_safe(key): _safe(value) if isinstance(value, str) else value for key, value in row.items()}


def _flat(key: str, value: object) -> dict[str, object]:
    if key in LEFT_OUT:
        return {}
    if isinstance(value, dict):
        # For unknown labels, only the number of rows: their names come from the data and must not become columns.
        unknown = value.get("unknown_labels")
        rows = {"unknown_labels": unknown["rows"]} if isinstance(unknown, dict) and "rows" in unknown else {}
        return {f"{key}.{inner}": held for inner, held in (value | rows).items()}
    if isinstance(value, list) and len(value) == 2:
        return {f"{key}_low": value[0], f"{key}_high": value[1]}
    return {key: value}


def _safe(value: str) -> str:
    """A text, escaped; what begins like a formula gets a quote before it, so that no spreadsheet runs it.

    Spreadsheets in some languages divide a line at semicolons, too, and take full-width signs for the usual ones.
    """
    return FORMULA.sub(r"\1'\2", escaped(value))
