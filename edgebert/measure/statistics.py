"""Percentiles of latencies, and ratios with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
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
