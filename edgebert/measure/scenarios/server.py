"""Inputs at random times: the highest arrival rate at which a percentile of the latencies stays under a bound.

Arrivals are a seeded Poisson process. One worker answers them in order; a latency starts at the arrival and includes
the wait in the queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebert.measure.job import Answer, Job, ServerSettings
from edgebert.measure.loop import Clock, quiet, timed
from edgebert.measure.results import Case
from edgebert.measure.scenarios.single_stream import fill_percentiles
from edgebert.measure.statistics import Samples, over_rounds, rounded
from edgebert.runtime.model import Model

COMPARED = "server time a query"


@dataclass(frozen=True)
class Run:
    """Inputs answered at one arrival rate; rate 0 means one after another without waiting."""

    qps: float
    latencies_ns: list[int]
    elapsed_ns: int

    @property
    def achieved_qps(self) -> float:
        """Answers per second from the start to the last answer."""
        return 1e9 * len(self.latencies_ns) / self.elapsed_ns if self.qps else 0.0


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """The highest rate found, its latencies, and the rates that were tried."""
    for at in range(job["warmup"]):
        call(at)
    quiet()
    return search(call, job["server"], job["seed"])


def search(
    call: Callable[[int], object],
    settings: ServerSettings,
    seed: int,
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Bisect the arrival rate between 0 and the worker's maximum, above which queues only grow.

    All rates use the same gaps between arrivals, scaled, so waits never get shorter at a higher rate.

    Args:
        call: Answers one input.
        settings: Settings of the scenario.
        seed: Seed of the gaps.
        clock: Returns nanoseconds.
        sleep: Waits for a number of seconds.
    """
    alone_ns = timed(call, settings["queries"], clock)
    capacity = 1e9 * len(alone_ns) / sum(alone_ns)
    gaps = poisson_gaps(seed, settings["queries"])
    tried_qps: list[float] = []
    best = Run(0.0, alone_ns, sum(alone_ns))

    def stays_under(share: float) -> bool:
        nonlocal best
        run = Run(share * capacity, *serve(call, arrivals_ns(gaps, share * capacity), clock, sleep))
        tried_qps.append(run.qps)
        under = under_bound(run.latencies_ns, settings)
        best = run if under else best
        return under

    # No rate can bring the percentile below its value without any waiting.
    if under_bound(alone_ns, settings):
        highest(stays_under, settings["tolerance"])
    return {
        "settings": settings,
        "capacity_qps": capacity,
        "tried_qps": tried_qps,
        "target_qps": best.qps,
        "achieved_qps": best.achieved_qps,
        "latencies_ns": best.latencies_ns,
    }


def poisson_gaps(seed: int, queries: int) -> Samples:
    """Gaps between arrivals of a Poisson process, scaled to a mean of exactly 1 so that the stated rate is exact."""
    gaps = np.random.default_rng(seed).exponential(size=queries)
    scaled: Samples = gaps / gaps.mean()
    return scaled


def arrivals_ns(gaps: Samples, qps: float) -> list[int]:
    """Arrival times in nanoseconds from the start, from exponential gaps with mean 1."""
    return [int(at) for at in np.cumsum(gaps) / qps * 1e9]


def serve(
    call: Callable[[int], object],
    arrivals: Sequence[int],
    clock: Clock = time.perf_counter_ns,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[list[int], int]:
    """Answer inputs one at a time, in order, none before its arrival.

    Returns:
        Nanoseconds from each arrival to its answer, and from the start to the last answer.
    """
    start, latencies_ns, finish = clock(), [], 0
    for at, arrival in enumerate(arrivals):
        early_ns = start + arrival - clock()
        if early_ns > 0:
            sleep(early_ns / 1e9)
        call(at)
        finish = clock() - start
        latencies_ns.append(finish - arrival)
    return latencies_ns, finish


def highest(passes: Callable[[float], bool], tolerance: float) -> float:
    """Largest share from 0 to 1 that passes, by bisection.

    The returned share passed; the share plus `tolerance` did not.
    """
    low, high = 0.0, 1.0
    while high - low > tolerance:
        middle = (low + high) / 2
        if passes(middle):
            low = middle
        else:
            high = middle
    return low


def under_bound(latencies_ns: Sequence[int], settings: ServerSettings) -> bool:
    """Whether the percentile of a server's settings is under its bound."""
    return bool(np.percentile(latencies_ns, settings["percent"]) / 1e6 < settings["bound_ms"])


def fill(case: Case, answers: Sequence[Answer]) -> None:
    """The rate over the processes, and its latencies; rate 0 means that latency is too high even without a queue."""
    rounds = [np.array(answer["latencies_ns"], dtype=np.float64) for answer in answers]
    settings = answers[0]["settings"]
    rates = [answer["target_qps"] for answer in answers]
    rate, interval = over_rounds(rates)
    case.samples = sum(map(len, rounds))
    fill_percentiles(case, rounds)
    case.server = {
        "target_qps": round(rate, 2),
        "target_qps_ci": rounded(interval, 2),
        "bound_ms": settings["bound_ms"],
        "percent": settings["percent"],
        "achieved_qps": round(float(np.median([answer["achieved_qps"] for answer in answers])), 2),
        "tolerance_qps": round(settings["tolerance"] * float(np.median([a["capacity_qps"] for a in answers])), 2),
    }


def compared(answer: Answer) -> Samples:
    """Nanoseconds between arrivals at the highest rate; infinite if there is none."""
    return np.array([1e9 / answer["target_qps"] if answer["target_qps"] else np.inf])
