"""One prediction after another: the latency of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgebert.measure.job import Answer, Job
from edgebert.measure.loop import quiet, timed
from edgebert.measure.power import energy_of
from edgebert.measure.results import Case
from edgebert.measure.statistics import Samples, outliers, over_rounds, percentile_ms, rounded, spread, worst_drift
from edgebert.runtime.model import Model

COMPARED = "p50"
PERCENTS = (50, 90, 99)


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Every latency in the order of the texts, the latencies of an empty loop, and energy from a separate loop."""
    for at in range(job["warmup"]):
        call(at)
    quiet()
    latencies_ns = timed(call, job["samples"])
    inputs = job["ids"] if job["length"] else job["texts"]
    null_ns = timed(lambda at: inputs[at % len(inputs)], job["samples"])
    provider = job.get("provider") or model.manifest.profile.export.provider
    counts_energy = job.get("energy", True)
    power = energy_of(call, gpu="CPUExecutionProvider" not in provider) if counts_energy else None
    return {"latencies_ns": latencies_ns, "null_ns": null_ns, "power": power}


def fill(case: Case, answers: Sequence[Answer]) -> None:
    """Percentiles over the processes with their intervals, and suspicious samples."""
    fill_latency(case, [compared(answer) for answer in answers])
    fill_start(case, answers)
    measured = [power for answer in answers if (power := answer.get("power"))]
    if measured:
        joules = float(np.median([each["joules_per_inference"] for each in measured]))
        case.power = {"joules_per_inference": round(joules, 6), "source": measured[0]["source"]}


def compared(answer: Answer) -> Samples:
    """The latencies of one process, in nanoseconds."""
    return np.array(answer["latencies_ns"], dtype=np.float64)


def fill_latency(case: Case, rounds: Sequence[Samples]) -> None:
    """Percentiles with intervals, mean, outliers, drift inside processes and spread between them."""
    case.samples = sum(map(len, rounds))
    fill_percentiles(case, rounds)
    mean_ns = float(np.concatenate(list(rounds)).mean())
    case.mean_ms, case.throughput = round(mean_ns / 1e6, 4), round(1e9 / mean_ns, 2)
    count, fence_ns = outliers(rounds)
    case.outliers = {"count": count, "limit_ms": round(fence_ns / 1e6, 4)}
    case.drift = round(worst_drift(rounds), 4)
    case.spread = round(spread([float(np.median(samples)) for samples in rounds]), 4)


def fill_percentiles(case: Case, rounds: Sequence[Samples]) -> None:
    """p50, p90 and p99 of a process over the processes, with their intervals."""
    (case.p50_ms, p50), (case.p90_ms, p90), (case.p99_ms, p99) = (percentile_ms(rounds, at) for at in PERCENTS)
    case.p50_ms, case.p90_ms, case.p99_ms = (round(value, 4) for value in (case.p50_ms, case.p90_ms, case.p99_ms))
    case.p50_ci, case.p90_ci, case.p99_ci = (rounded(interval, 4) for interval in (p50, p90, p99))


def fill_start(case: Case, answers: Sequence[Answer]) -> None:
    """Times before the first answer, over the processes, and the duration of the hash check in loading."""

    def over_processes_ms(took_ns: Sequence[float]) -> float:
        return round(over_rounds(took_ns)[0] / 1e6, 2)

    case.import_ms = over_processes_ms([answer["import_ns"] - answer["start_ns"] for answer in answers])
    case.load_ms = over_processes_ms([answer["load_ns"] - answer["import_ns"] for answer in answers])
    case.first_ms = over_processes_ms([answer["first_ns"] - answer["load_ns"] for answer in answers])
    case.cold_start_ms = over_processes_ms([answer["cold_start_ns"] for answer in answers])
    if all("hashed" in answer for answer in answers):
        case.hashed = all(answer["hashed"] for answer in answers)
        case.hash_ms = over_processes_ms([answer["hash_ns"] for answer in answers])
