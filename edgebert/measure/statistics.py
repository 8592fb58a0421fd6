"""Figures over the rounds of a bench with their intervals; drift, spread and outliers of latencies.

A round is one fresh process of every variant. Some effects differ between processes but not inside one (addresses,
caches, the machine's speed). So a process counts once, however many latencies it has.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Name of the method in a result; docs/explanation/intervals.md has its coverage.
METHOD = "t interval of the logarithms of the rounds' figures"
# Method of results that do not name one.
EARLIER_METHOD = "bootstrap over rounds"
MIN_ROUNDS = 3
# 97.5% quantiles of Student's t for 1 to 9 degrees of freedom (scipy.stats.t.ppf).
T_QUANTILES = (12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157)
NORMAL_QUANTILE = 1.959963985

Samples = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Ratio:
    """Baseline divided by candidate (above 1: the candidate is faster or smaller), with its 95% interval.

    The interval is None for fewer than three rounds. Older results lack `rounds`.
    """

    what: str
    value: float
    ci_low: float | None
    ci_high: float | None
    rounds: int | None = None


def over_rounds(values: Sequence[float]) -> tuple[float, Interval | None]:
    """Geometric mean of one figure per round, and its 95% t interval on a log scale.

    Args:
        values: One per round, in any unit. If one is 0 (nothing was reached), the result is the median, without an
            interval.

    Returns:
        The mean in the values' unit; low and high, or None for fewer than three rounds.
    """
    if min(values) <= 0:
        return float(np.median(values)), None
    logs = np.log(values)
    mean, rounds = float(logs.mean()), len(values)
    if rounds < MIN_ROUNDS:
        return math.exp(mean), None
    half = t_quantile(rounds - 1) * float(logs.std(ddof=1)) / math.sqrt(rounds)
    return math.exp(mean), (math.exp(mean - half), math.exp(mean + half))


def t_quantile(freedom: int) -> float:
    """97.5% quantile of Student's t.

    From a table, or for ten and more degrees of freedom the expansion of Abramowitz and Stegun 1964, 26.7.5.
    """
    if freedom <= len(T_QUANTILES):
        return T_QUANTILES[freedom - 1]
    z = NORMAL_QUANTILE
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom ** (at + 1) for at, term in enumerate(terms))


def percentile_ms(rounds: Sequence[Samples], percent: float) -> tuple[float, Interval | None]:
    """Percentile of each process's latencies; geometric mean over the processes and its interval.

    Args:
        rounds: One array of nanoseconds per process.
        percent: 0 to 100.

    Returns:
        Mean and interval in milliseconds.
    """
    return over_rounds([float(np.percentile(samples, percent)) / 1e6 for samples in rounds])


def rounded(interval: Interval | None, digits: int) -> list[float] | None:
    """Round an interval as results store it."""
    return None if interval is None else [round(bound, digits) for bound in interval]


def drift(samples: Samples) -> float:
    """Median of the last third of a process's latencies divided by that of the first; 1 for fewer than three."""
    third = len(samples) // 3
    return float(np.median(samples[-third:]) / np.median(samples[:third])) if third else 1.0


def worst_drift(rounds: Sequence[Samples]) -> float:
    """The drift furthest from 1 among the processes of a case."""
    return max(map(drift, rounds), key=lambda value: abs(np.log(value)))


def spread(values: Sequence[float]) -> float:
    """Largest divided by smallest of one figure per process; 1 if all processes agree."""
    return max(values) / min(values)


def outliers(rounds: Sequence[Samples]) -> tuple[int, float]:
    """Number of latencies beyond the far-out fence, and the fence in nanoseconds.

    The fence is the third quartile and three times the distance between the quartiles (Tukey 1977, section 2D).
    """
    samples = np.concatenate(list(rounds))
    first, third = np.percentile(samples, [25, 75])
    fence = float(third + 3 * (third - first))
    return int((samples > fence).sum()), fence


def median_ratio(what: str, baseline: Sequence[Samples], candidate: Sequence[Samples]) -> Ratio:
    """Geometric mean over paired rounds of the ratio of median latencies, and its interval.

    Something that slows a whole round down changes both of its medians and not their ratio.

    Args:
        what: Name of the comparison.
        baseline: Nanoseconds of the baseline, one array per round.
        candidate: Nanoseconds of the candidate, one array per round, in the same order.
    """
    pairs = zip(baseline, candidate, strict=True)
    ratios = [float(np.median(before) / np.median(after)) for before, after in pairs]
    value, interval = over_rounds(ratios)
    low, high = interval or (None, None)
    return Ratio(what, value, low, high, len(ratios))
