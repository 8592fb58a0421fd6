"""Compute the figures of each case, and their ratios to the encoder, from the answers of the measured processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from bench.architectures import models
from bench.architectures.claims import LATENCY, MEMORY, compared
from bench.architectures.jobs import Job, tokens_said
from bench.architectures.plan import Case
from edgebert.measure.others import others_cores
from edgebert.measure.statistics import Samples, median_ratio, over_rounds, percentile_ms, rounded, spread, worst_drift

Answer = dict[str, Any]
MB = 1e6
# The peak minus the memory of the process after it imported its runtime and before it loaded a model.
ABOVE_RUNTIME = f"{MEMORY} above the runtime's own"


def latencies(answers: Sequence[Answer], at: int) -> list[Samples]:
    """Return the nanoseconds to label token number `at`, one array per process. An encoder has one time for all."""
    found = [np.array(answer["marks_ns"], dtype=np.float64) for answer in answers]
    return [each[:, min(at, each.shape[1] - 1)] for each in found]


def peaks_mb(answers: Sequence[Answer], above_runtime: bool = False) -> list[float]:
    """Return the peak resident memory of each process."""
    return [(answer["peak_rss"] - (answer["import_rss"] if above_runtime else 0)) / MB for answer in answers]


def figures(case: Case, job: Job, answers: Sequence[Answer], memory: Sequence[Answer]) -> dict[str, Any]:
    """Summarize the measurements of one case so far."""
    found: dict[str, Any] = {
        "job": case.job,
        "runtime": case.runtime,
        "architecture": case.architecture,
        "model": models.MODELS[case.architecture],
        "batch": 1,
        "text_tokens": job.text_tokens,
        "processes": len(answers),
    }
    if answers:
        whole = latencies(answers, len(job.label_tokens) - 1)
        found |= {"samples": sum(map(len, whole)), "latency": _latency(case, job, answers)}
        found |= {"drift": round(worst_drift(whole), 4), "others": others_cores(answers)}
        found["spread"] = round(spread([float(np.median(each)) for each in whole]), 4)
    if memory:
        found["memory"] = {
            "peak_mb": round(over_rounds(peaks_mb(memory))[0], 1),
            "above_runtime_mb": round(over_rounds(peaks_mb(memory, above_runtime=True))[0], 1),
            "load_mb": round(over_rounds([each["load_rss"] / MB for each in memory])[0], 1),
            "processes": len(memory),
        }
    return found


def _latency(case: Case, job: Job, answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return the median for each number of label tokens. The encoder has one entry with 0 generated tokens."""
    encodes = case.architecture == models.ENCODER
    found = []
    for at, tokens in enumerate(job.label_tokens[:1] if encodes else job.label_tokens):
        rounds = latencies(answers, at)
        p50, interval = percentile_ms(rounds, 50)
        generated = 0 if encodes else tokens
        found.append({"generated": generated, "p50_ms": round(p50, 4), "p50_ci": rounded(interval, 4)})
    return found


def ratios(
    cases: Iterable[Case],
    jobs: dict[str, Job],
    latency: dict[Case, list[Answer]],
    memory: dict[Case, list[Answer]],
) -> list[dict[str, Any]]:
    """Compute the ratio of each other architecture to the encoder, from the rounds that both have."""
    found = []
    for case in cases:
        base = Case(case.job, case.runtime, models.ENCODER)
        if case.architecture == models.ENCODER:
            continue
        theirs, ours = _paired(latency, case, base)
        for at, tokens in enumerate(jobs[case.job].label_tokens if theirs else ()):
            found.append(_ratio(LATENCY, case, tokens, latencies(theirs, at), latencies(ours, at)))
        theirs, ours = _paired(memory, case, base)
        for quantity in (MEMORY, ABOVE_RUNTIME) if theirs else ():
            above = quantity == ABOVE_RUNTIME
            pair = [[np.array([peak]) for peak in peaks_mb(each, above)] for each in (theirs, ours)]
            found.append(_ratio(quantity, case, jobs[case.job].generated, *pair))
    return found


def _paired(answers: dict[Case, list[Answer]], case: Case, base: Case) -> tuple[list[Answer], list[Answer]]:
    theirs, ours = answers.get(case, []), answers.get(base, [])
    count = min(len(theirs), len(ours))
    return theirs[:count], ours[:count]


def _ratio(
    quantity: str, case: Case, tokens: int, theirs: Sequence[Samples], ours: Sequence[Samples]
) -> dict[str, Any]:
    what = f"{quantity}, {case.job}, {tokens_said(tokens)}, {case.runtime}: {case.architecture} / {models.ENCODER}"
    ratio = median_ratio(what, theirs, ours)
    return {
        "what": what,
        "value": ratio.value,
        "ci_low": ratio.ci_low,
        "ci_high": ratio.ci_high,
        "quantity": quantity,
        "job": case.job,
        "generated": tokens,
        "runtime": case.runtime,
        "architecture": case.architecture,
        **compared(quantity, case.architecture, ratio),
    }
