"""Compare two runtimes of a bundle, from the raw samples of one recorded run.

    .venv/bin/python -m bench.runtime_ratios RESULT --first bundle@onnxruntime --second bundle@core

If a ratio is above 1, the second runtime is faster. The intervals are computed as in `edgebert bench`
(docs/explanation/intervals.md).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.intervals import rounds_of, shown
from edgebert.measure.read import read_result
from edgebert.measure.statistics import median_ratio
from edgebert.report.run import Run

SAME = ("scenario", "lengths", "batch", "arena")


def rows(run: Run, first: str, second: str) -> list[tuple[str, str, str]]:
    """Compute the ratio of each case that both variants have: scenario, lengths, and the ratio with its interval."""
    found = []
    for case in run.cases:
        same = [each for each in run.cases if all(each.get(key) == case.get(key) for key in SAME)]
        base = next((each for each in same if each["variant"] == first), None)
        if case["variant"] != second or base is None:
            continue
        before, after = rounds_of(run, base), rounds_of(run, case)
        if before and len(before) == len(after):
            ratio = median_ratio(f"{first} / {second}", before, after)
            interval = None if ratio.ci_low is None or ratio.ci_high is None else (ratio.ci_low, ratio.ci_high)
            found.append((case["scenario"], str(case["lengths"]), shown(ratio.value, interval)))
    return found


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="folder of a result with raw samples")
    parser.add_argument("--first", default="bundle@onnxruntime")
    parser.add_argument("--second", default="bundle@core")
    given = parser.parse_args()
    run = Run(given.result.name, read_result(given.result), given.result)
    print("\n".join(["| scenario | tokens | times faster |", "|---|---|---|"]))
    for row in rows(run, given.first, given.second):
        print("| " + " | ".join(row) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
