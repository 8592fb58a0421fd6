"""Peak resident memory after import, after loading, after the first answer and in the steady state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgebert.measure.results import Case
from edgebert.measure.statistics import Samples
from edgebert.runtime.model import Model

COMPARED = "peak memory"
MARKS = {"import_mb": "import_rss", "load_mb": "load_rss", "first_mb": "first_rss", "steady_mb": "end_rss"}


def work(model: Model, job: dict[str, Any], call: Callable[[int], object]) -> dict[str, Any]:
    """Enough predictions to reach the steady state; the marks hold the peaks."""
    for at in range(job["samples"]):
        call(at)
    return {}


def fill(case: Case, answers: Sequence[dict[str, Any]]) -> None:
    """Medians over the processes of the high-water marks so far, each at least the one before it."""
    if all(mark in answer for mark in MARKS.values() for answer in answers):
        case.memory = {
            name: round(float(np.median([answer[mark] for answer in answers])) / 1e6, 1) for name, mark in MARKS.items()
        }
    case.peak_rss_mb = round(float(np.median([answer["end_rss"] for answer in answers])) / 1e6, 1)
    case.device_memory_mb = answers[0].get("device_memory_mb")
    case.samples = case.samples or len(answers)


def compared(answer: dict[str, Any]) -> Samples:
    """Peak of the whole process, in bytes."""
    return np.array([answer["end_rss"]], dtype=np.float64)
