"""Compare two variants on the same texts: McNemar's exact test, and a metric's difference with a paired interval."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, fsum, lgamma, log

import numpy as np

from edgebert.metrics.scores import Metric, Table, interval_of

RESAMPLES = 1000
# Above this, integers become so long that time grows with their square; logarithms give ten digits.
MAX_EXACT = 10_000


@dataclass(frozen=True)
class Pair:
    """Texts that only one of two variants gets right, and the probability of such an uneven split by chance."""

    what: str
    only_first: int
    only_second: int
    p_value: float
    n: int


@dataclass(frozen=True)
class Difference:
    """Metric of the second variant minus that of the first, with its 95% interval over the texts; None without one."""

    what: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p value, with a fair coin for each text that only one variant gets right (McNemar 1947).

    Args:
        only_first: Number of texts that only the first variant gets right.
        only_second: Number of texts that only the second variant gets right.
    """
    tosses, fewer, ways, tail = only_first + only_second, min(only_first, only_second), 1, 0
    if tosses > MAX_EXACT:
        every = lgamma(tosses + 1) - tosses * log(2)
        shares = (exp(every - lgamma(heads + 1) - lgamma(tosses - heads + 1)) for heads in range(fewer + 1))
        return min(1.0, 2 * fsum(shares))
    for heads in range(fewer + 1):
        tail += ways
        ways = ways * (tosses - heads) // (heads + 1)
    return min(1.0, 2 * tail / (1 << tosses))


def pair_of(what: str, metric: Metric, first: Table, second: Table) -> Pair | None:
    """McNemar's test of two tables of the same texts; None if the metric is not a share of correct answers."""
    if metric.right is None:
        return None
    right, also = first[:, metric.right] == 1, second[:, metric.right] == 1
    only_first, only_second = int((right & ~also).sum()), int((~right & also).sum())
    return Pair(what, only_first, only_second, mcnemar(only_first, only_second), len(first))


def difference_of(what: str, metric: Metric, first: Table, second: Table, seed: int = 0) -> Difference:
    """Difference of a metric between two tables of the same texts.

    Every resample draws the same texts for both (Efron and Tibshirani 1993, chapter 8). Resamples on which the metric
    is undefined are left out.
    """
    random = np.random.default_rng(seed)
    draws = []
    for rows in random.integers(0, len(first), size=(RESAMPLES, len(first))):
        one, other = first[rows], second[rows]
        if not metric.lacks(one) and not metric.lacks(other):
            draws.append(metric.figure(other) - metric.figure(one))
    value = metric.figure(second) - metric.figure(first)
    return Difference(what, value, *interval_of(draws, len(first)), len(first))
