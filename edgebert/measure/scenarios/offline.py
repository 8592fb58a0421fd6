"""All inputs at once, in batches of like length, or of the same where the session does not pad: throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgebert.measure.job import Answer, Job
from edgebert.measure.loop import quiet
from edgebert.measure.results import Case
from edgebert.measure.statistics import Samples, over_rounds, rounded, spread
from edgebert.runtime.encode import Encoded
from edgebert.runtime.model import Model

COMPARED = "offline time"

# A GPU answers a few hundred texts in less time than it takes to meet their shapes for the first time.
LEAST_NS = 500_000_000
LONGEST_WARMUP_NS = 10_000_000_000


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Number of inputs, nanoseconds for all of them, and those of the first pass; how many windows ran together.

    The first pass over them is the warm-up, unless it is long, and the passes after it last half a second at least.
    """
    inputs, answer = _offline(model, job)
    together = _together(model, inputs, job["batch_size"])
    answer(inputs[: job["batch_size"] * 2])
    quiet()
    first_ns = _nanoseconds(answer, inputs)
    passes, total_ns = (1, first_ns) if first_ns > LONGEST_WARMUP_NS else (0, 0)
    while total_ns < LEAST_NS:
        total_ns += _nanoseconds(answer, inputs)
        passes += 1
    return {"texts": passes * len(inputs), "total_ns": total_ns, "first_pass_ns": first_ns, "together": together}


def _together(model: Model, inputs: Sequence[Any], batch_size: int) -> dict[str, float]:
    """Windows of the largest batch that the session makes of the inputs, and of the mean one.

    A session runs together only what gains by it (`edgebert.runtime.batches`), so that few batches may be full.
    """
    several = ([given] if isinstance(given, Encoded) else model.task.encode(given) for given in inputs)
    encoded = [window for windows in several for window in windows]
    sizes = [len(batch) for batch in model.batches(encoded, batch_size)]
    return {"largest": max(sizes), "mean": len(encoded) / len(sizes)}


def _nanoseconds(answer: Callable[[list[Any]], object], inputs: list[Any]) -> int:
    begin = time.perf_counter_ns()
    answer(inputs)
    return time.perf_counter_ns() - begin


def _offline(model: Model, job: Job) -> tuple[list[Any], Callable[[list[Any]], object]]:
    """The inputs, and what answers many of them: texts to predictions, or token ids to outputs at a fixed length."""
    batch_size = job["batch_size"]
    if not job["length"]:
        texts = [text if isinstance(text, str) else tuple(text) for text in job["texts"]]
        return texts, lambda some: model(some, batch_size=batch_size)
    encoded = [Encoded(ids, [0] * len(ids), False) for ids in job["ids"]]
    count = max(job["samples"], 2 * batch_size)
    windows = [encoded[at % len(encoded)] for at in range(count)]
    return windows, lambda some: model.outputs(some, batch_size)


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
    """Nanoseconds an input."""
    return np.array([answer["total_ns"] / answer["texts"]], dtype=np.float64)
