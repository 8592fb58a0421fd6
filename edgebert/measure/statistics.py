"""Percentiles of latencies and ratios, each with a bootstrap interval; drift, spread and outliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
DRAWN_AT_ONCE = 2_000_000
Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """Baseline over candidate (above 1: the candidate is faster or smaller), with its 95% interval."""

    what: str
    value: float
    ci_low: float
    ci_high: float


def percentile_ms(rounds: Sequence[Samples], percent: float) -> float:
    """Percentile of all latencies of all rounds.

    Args:
        rounds: One array of nanoseconds a process.
        percent: 0 to 100.

    Returns:
        Milliseconds.
    """
    return float(np.percentile(np.concatenate(list(rounds)), percent)) / 1e6


def percentile_intervals_ms(
    rounds: Sequence[Samples], percents: Sequence[float], seed: int = 0
) -> list[tuple[float, float]]:
    """95% intervals of percentiles of all latencies, from the bootstrap over rounds and predictions of `median_ratio`.

    Where processes differ more than the predictions inside them, a handful of processes gives intervals that are too
    narrow: `spread` tells.

    Args:
        rounds: One array of nanoseconds a process, all of one size.
        percents: 0 to 100 each.
        seed: Seed of the resampling.

    Returns:
        Low and high of each, in milliseconds.
    """
    data = np.stack(list(rounds))
    random = np.random.default_rng(seed)
    step = max(1, DRAWN_AT_ONCE // data.size)
    sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    draws = np.concatenate([_resampled_percentiles(random, data, size, percents) for size in sizes], axis=1)
    low, high = np.percentile(draws, [2.5, 97.5], axis=1) / 1e6
    return [(float(first), float(last)) for first, last in zip(low, high, strict=True)]


def _resampled_percentiles(
    random: np.random.Generator, data: Samples, draws: int, percents: Sequence[float]
) -> NDArray[np.float64]:
    """Percentiles of so many resamples of an array of (rounds, samples). *Shape*: (percents, draws)."""
    count, size = data.shape
    rounds = random.integers(0, count, size=(draws, count, 1))
    samples = random.integers(0, size, size=(draws, count, size))
    return np.asarray(np.percentile(data[rounds, samples].reshape(draws, -1), list(percents), axis=1))


def median_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95% bootstrap interval of the median of one value a process, in the values' own unit."""
    (interval,) = percentile_intervals_ms([np.array([value * 1e6]) for value in values], [50], seed)
    return interval


def drift(samples: Samples) -> float:
    """Median of the last third of a process's latencies over that of the first third; 1 for fewer than three."""
    third = len(samples) // 3
    return float(np.median(samples[-third:]) / np.median(samples[:third])) if third else 1.0


def worst_drift(rounds: Sequence[Samples]) -> float:
    """The drift that is furthest from 1 among the processes of a case."""
    return max(map(drift, rounds), key=lambda value: abs(np.log(value)))


def spread(values: Sequence[float]) -> float:
    """Largest over smallest of one figure a process: 1 where all processes agree."""
    return max(values) / min(values)


def outliers(rounds: Sequence[Samples]) -> tuple[int, float]:
    """How many latencies lie beyond the far-out fence, and the fence in nanoseconds.

    The fence is the third quartile and three times the distance between the quartiles (Tukey 1977, section 2D).
    """
    samples = np.concatenate(list(rounds))
    first, third = np.percentile(samples, [25, 75])
    fence = float(third + 3 * (third - first))
    return int((samples > fence).sum()), fence


def median_ratio(what: str, baseline: Sequence[Samples], candidate: Sequence[Samples], seed: int = 0) -> Ratio:
    """Ratio of median latencies, with an interval that takes processes and predictions as random.

    The bootstrap resamples whole rounds first (a round is one fresh process of each, run side by side) and then the
    predictions inside them: Davison and Hinkley 1997, section 3.8. Rounds are paired.

    Args:
        what: What is compared.
        baseline: Nanoseconds of the baseline, one array a round.
        candidate: Nanoseconds of the candidate, one array a round, in the same order of rounds.
        seed: Seed of the resampling.
    """
    random = np.random.default_rng(seed)
    count = len(baseline)
    draws = np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        chosen = random.integers(0, count, size=count)
        draws[draw] = _median(random, baseline, chosen) / _median(random, candidate, chosen)
    low, high = np.percentile(draws, [2.5, 97.5])
    value = float(np.median(np.concatenate(list(baseline))) / np.median(np.concatenate(list(candidate))))
    return Ratio(what, value, float(low), float(high))


def _median(random: np.random.Generator, rounds: Sequence[Samples], chosen: NDArray[np.int64]) -> float:
    parts = [rounds[at][random.integers(0, len(rounds[at]), size=len(rounds[at]))] for at in chosen]
    return float(np.median(np.concatenate(parts)))
