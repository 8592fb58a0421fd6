"""Throughput of all inputs at once, in batches of similar length.

If the session does not pad, the lengths in a batch are equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgebert.measure.job import Answer, Input, Job
from edgebert.measure.loop import quiet
from edgebert.measure.results import Case
from edgebert.measure.statistics import Samples, over_rounds, rounded, spread
from edgebert.runtime.encode import Encoded
from edgebert.runtime.model import Model

COMPARED = "offline time"

# A GPU answers a few hundred texts faster than it handles their new shapes.
LEAST_NS = 500_000_000
LONGEST_WARMUP_NS = 10_000_000_000


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Count the inputs, time all of them and the first pass, and count windows that ran together.

    The first pass is the warm-up, unless it is long; the passes after it last at least half a second.
    """
    inputs = _inputs(model, job)
    together = _together(model, inputs.given, job["batch_size"])
    inputs.answer(job["batch_size"] * 2)
    quiet()
    first_ns = inputs.nanoseconds()
    passes, total_ns = (1, first_ns) if first_ns > LONGEST_WARMUP_NS else (0, 0)
    while total_ns < LEAST_NS:
        total_ns += inputs.nanoseconds()
        passes += 1
    return {"texts": passes * inputs.count, "total_ns": total_ns, "first_pass_ns": first_ns, "together": together}


def _together(model: Model, given: Sequence[Input | Encoded], batch_size: int) -> dict[str, float]:
    """Number of windows in the session's largest batch, and in the mean one.

    A session only batches texts if that is faster (`edgebert.runtime.batches`), so few batches may be full.
    """
    several = ([each] if isinstance(each, Encoded) else model.task.encode(each) for each in given)
    windows = [window for encoded in several for window in encoded]
    sizes = [len(batch) for batch in model.batches(windows, batch_size)]
    return {"largest": max(sizes), "mean": len(windows) / len(sizes)}


@dataclass(frozen=True)
class _Inputs:
    """All inputs of a job (texts, or token ids of a fixed length), and a function that answers the first few."""

    given: Sequence[Input | Encoded]
    answer: Callable[[int], object]

    @property
    def count(self) -> int:
        """Number of inputs."""
        return len(self.given)

    def nanoseconds(self) -> int:
        """Time one pass over all inputs."""
        begin = time.perf_counter_ns()
        self.answer(self.count)
        return time.perf_counter_ns() - begin


def _inputs(model: Model, job: Job) -> _Inputs:
    """Texts to predictions, or token ids to outputs at a fixed length."""
    batch_size = job["batch_size"]
    if not job["length"]:
        texts = [text if isinstance(text, str) else tuple(text) for text in job["texts"]]
        return _Inputs(texts, lambda count: model(texts[:count], batch_size=batch_size))
    encoded = [Encoded(ids, [0] * len(ids), False) for ids in job["ids"]]
    windows = [encoded[at % len(encoded)] for at in range(max(job["samples"], 2 * batch_size))]
    return _Inputs(windows, lambda count: model.outputs(windows[:count], batch_size))


def fill(case: Case, answers: Sequence[Answer]) -> None:
    """Throughput over the processes, and its interval."""
    case.samples = sum(answer["texts"] for answer in answers)
    rates = [answer["texts"] / answer["total_ns"] * 1e9 for answer in answers]
    throughput, interval = over_rounds(rates)
    case.throughput, case.throughput_ci = round(throughput, 2), rounded(interval, 2)
    case.spread = round(spread(rates), 4)
    if told := [answer["together"] for answer in answers if "together" in answer]:
        mean = sum(each["mean"] for each in told) / len(told)
        case.together = {"largest": max(each["largest"] for each in told), "mean": round(mean, 2)}


def compared(answer: Answer) -> Samples:
    """Nanoseconds per input."""
    return np.array([answer["total_ns"] / answer["texts"]], dtype=np.float64)
