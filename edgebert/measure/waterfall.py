"""The effect of every stage: latency, size and quality from one stage bundle to the next."""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.measure.document import WaterfallRow
from edgebert.measure.results import Case


def waterfall(cases: Sequence[Case]) -> list[WaterfallRow]:
    """Rows from the baseline over the stages to the bundle, each with its gain over the row before.

    Empty if several bundles or runtimes were measured, since a row must come from the one before.

    Returns:
        One row per variant measured single-stream at natural lengths: `p50_ms`, `faster` (times the row before),
        `size_mb`, `smaller`, `quality`.
    """
    rows: list[WaterfallRow] = []
    chosen = [case for case in cases if case.scenario == "single_stream" and case.lengths == "natural"]
    stages = chosen[1:-1]
    one_chain = stages and all(case.role == "stage" for case in stages) and chosen[-1].variant == "bundle"
    before: Case | None = None
    for case in chosen if one_chain else []:
        row: WaterfallRow = {"variant": case.variant, "p50_ms": case.p50_ms, "size_mb": case.size_mb}
        row["quality"] = case.quality["value"] if case.quality and not case.quality.get("lacks") else None
        if before and before.p50_ms and before.size_mb and case.p50_ms and case.size_mb:
            row["faster"] = round(before.p50_ms / case.p50_ms, 3)
            row["smaller"] = round(before.size_mb / case.size_mb, 3)
        rows.append(row)
        before = case
    return rows
