"""Recompute the ratios of recorded results with the current interval method, from the raw samples of each result.

    .venv/bin/python -m bench.intervals bench/results/2026-*          # a table of every ratio
    .venv/bin/python -m bench.intervals RESULT --only bundle          # ratios whose title ends in "bundle"

Recorded results are not changed. A result without raw samples, or with a ratio that does not belong to two of its
cases, is named on stderr and skipped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.errors import EdgeBertError
from edgebert.measure.document import CaseRow
from edgebert.measure.read import RESULT, read_result
from edgebert.measure.statistics import Ratio, Samples, median_ratio
from edgebert.report.ratios import interval_of, ratio_of
from edgebert.report.run import Run
from edgebert.report.titles import compared

Row = tuple[str, dict[str, Any], Ratio]


def recomputed(run: Run) -> Iterator[Row]:
    """Recompute each ratio of a result whose cases have raw samples: its run, the recorded ratio and the new one."""
    for case in run.cases:
        recorded = ratio_of(run, case)
        title = compared(recorded["what"]) if recorded else None
        if recorded is None or title is None:
            continue
        same = ("scenario", "lengths", "batch", "arena")
        base = next(
            each
            for each in run.cases
            if each["variant"] == title.first and all(each.get(key) == case.get(key) for key in same)
        )
        first, second = rounds_of(run, base), rounds_of(run, case)
        if first and len(first) == len(second):
            yield run.label, recorded, median_ratio(recorded["what"], first, second)


def rounds_of(run: Run, case: CaseRow) -> list[Samples]:
    """Read the samples that a case's scenario compares, one array per process. Empty if there are no raw samples."""
    path = run.folder / str(case.get("raw"))
    if not case.get("raw") or not path.is_file():
        return []
    scenario = import_module(f"edgebert.measure.scenarios.{case['scenario']}")
    answers = json.loads(path.read_text(encoding="utf-8"))["rounds"]
    return [np.asarray(scenario.compared(answer), dtype=np.float64) for answer in answers]


def table(rows: list[Row]) -> str:
    """Format the ratios as a Markdown table."""
    lines = ["| result | ratio | rounds | as recorded | t interval |", "|---|---|---|---|---|"]
    for label, recorded, ratio in rows:
        now = shown(
            ratio.value, None if ratio.ci_low is None or ratio.ci_high is None else (ratio.ci_low, ratio.ci_high)
        )
        before = shown(recorded["value"], interval_of(recorded))
        lines.append(f"| {label} | {ratio.what} | {ratio.rounds} | {before} | {now} |")
    return "\n".join(lines)


def shown(value: float, interval: tuple[float, float] | None) -> str:
    """Format a ratio and its interval."""
    return f"{value:.2f} (no interval)" if interval is None else f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", type=Path, help="folders of results")
    parser.add_argument("--only", default="", help="ratios whose title ends with this")
    given = parser.parse_args()
    rows: list[Row] = []
    for folder in given.results:
        try:
            found = (
                list(recomputed(Run(folder.name, read_result(folder), folder))) if (folder / RESULT).is_file() else []
            )
        except EdgeBertError as error:
            sys.stderr.write(f"{error}\n")
            return error.exit_code
        if not found:
            sys.stderr.write(f"{folder}: no ratio with raw samples; left out\n")
        rows += [row for row in found if row[1]["what"].endswith(given.only)]
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
