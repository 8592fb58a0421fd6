"""One prediction after another for minutes, to see whether latency or memory grows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebert.measure.job import Answer, Job
from edgebert.measure.loop import quiet, timed_for
from edgebert.measure.memory import rss_bytes
from edgebert.measure.results import Case
from edgebert.measure.scenarios import memory
from edgebert.measure.scenarios.single_stream import fill_percentiles
from edgebert.measure.statistics import outliers, worst_drift
from edgebert.runtime.model import Model


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Every latency until the time is up, and the resident set before and after."""
    for at in range(job["warmup"]):
        call(at)
    quiet()
    before = rss_bytes()
    latencies_ns = timed_for(call, job["soak_minutes"] * 60)
    # The list of samples is part of the measurement, not of the bundle.
    own_bytes = len(latencies_ns) * latencies_ns.itemsize
    after = rss_bytes()
    resident = None if before is None or after is None else [before, after - own_bytes]
    return {"latencies_ns": latencies_ns, "resident_bytes": resident}


def fill(case: Case, answers: Sequence[Answer]) -> None:
    """Percentiles, the last third against the first, resident memory; no intervals, since there is one process."""
    rounds = [np.array(answer["latencies_ns"], dtype=np.float64) for answer in answers]
    case.samples = sum(map(len, rounds))
    fill_percentiles(case, rounds)
    mean_ns = float(np.concatenate(rounds).mean())
    case.mean_ms, case.throughput = round(mean_ns / 1e6, 4), round(1e9 / mean_ns, 2)
    count, fence_ns = outliers(rounds)
    case.outliers = {"count": count, "limit_ms": round(fence_ns / 1e6, 4)}
    case.drift = round(worst_drift(rounds), 4)
    if resident := answers[0]["resident_bytes"]:
        case.resident = dict(zip(("start_mb", "end_mb"), (round(size / 1e6, 1) for size in resident), strict=True))
    memory.fill(case, answers)
