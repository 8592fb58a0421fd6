"""Find a result's ratios by what they compare."""

from __future__ import annotations

from edgebert.measure.document import CaseRow, DifferenceRow, PairRow, RatioRow
from edgebert.report.numbers import between
from edgebert.report.run import Run, lengths_of

# First words in the title of a scenario's ratio.
ABOUT = {
    "single_stream": "p50",
    "offline": "offline time",
    "server": "server time a query",
    "cold_start": "cold start",
    "memory": "peak memory",
}


def ratio_of(run: Run, case: CaseRow) -> RatioRow | None:
    """How many times faster a case is than the baseline, with its interval; None if the result has no such ratio."""
    arena = case.get("arena")
    shown = lengths_of(case) + ("" if arena is None else f", arena {'on' if arena else 'off'}")
    about = f"{ABOUT.get(case['scenario'], case['scenario'])}, {shown}"
    return run.ratio_by_title.get((about, case["variant"]))


def interval_of(ratio: RatioRow) -> tuple[float, float] | None:
    """The interval of a ratio; None if it has none."""
    low, high = ratio.get("ci_low"), ratio.get("ci_high")
    return None if low is None or high is None else (low, high)


def shown_interval(ratio: RatioRow) -> str:
    """The interval of a ratio, or a note that there is none and the number of rounds."""
    interval = interval_of(ratio)
    if interval:
        return between(*interval)
    rounds = ratio.get("rounds")
    return f"no interval ({rounds} round{'s' * (rounds != 1)})" if rounds else "no interval"


def difference_of(run: Run, first: str, second: str) -> DifferenceRow | None:
    """Difference of the metric, second less first, with its paired interval; None where the result has none."""
    return run.difference_by_variants.get((first, second))


def pair_of(run: Run, first: str, second: str) -> PairRow | None:
    """McNemar's test of two variants' answers, in either order; None where the result has none."""
    return run.pair_by_variants.get(frozenset((first, second)))
