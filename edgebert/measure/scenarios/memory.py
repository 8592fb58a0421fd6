"""Peak resident memory after import, after loading, after the first answer and in the steady state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

# The measured process imports this file before its last mark, so importing numpy here would be measured too.
if TYPE_CHECKING:
    from edgebert.measure.job import Answer, Job
    from edgebert.measure.results import Case
    from edgebert.measure.statistics import Samples
    from edgebert.runtime.model import Model

COMPARED = "peak memory"
MARKS: dict[str, Literal["import_rss", "load_rss", "first_rss", "end_rss"]] = {
    "import_mb": "import_rss",
    "load_mb": "load_rss",
    "first_mb": "first_rss",
    "steady_mb": "end_rss",
}


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Predict until the steady state is reached; the marks hold the peaks."""
    for at in range(job["samples"]):
        call(at)
    return {}


def fill(case: Case, answers: Sequence[Answer]) -> None:
    """Peak memory at each mark over the processes, each at least as large as the one before."""
    marks = {name: peak_mb([answer.get(mark) for answer in answers]) for name, mark in MARKS.items()}
    known = {name: mark for name, mark in marks.items() if mark is not None}
    if len(known) == len(MARKS):
        case.memory = known
    case.peak_rss_mb = peak_mb([answer["end_rss"] for answer in answers])
    case.device_memory_mb = answers[0].get("device_memory_mb")
    case.samples = case.samples or len(answers)


def compared(answer: Answer) -> Samples:
    """Peak of the whole process, in bytes; NaN if the system does not report it."""
    import numpy as np

    return np.array([answer["end_rss"]], dtype=np.float64)


def peak_mb(sizes: Sequence[int | None]) -> float | None:
    """Geometric mean of several processes' bytes, in MB of 10^6 bytes; None if any is unknown."""
    from edgebert.measure.statistics import over_rounds

    known = [size for size in sizes if size is not None]
    return round(over_rounds(known)[0] / 1e6, 1) if known and len(known) == len(sizes) else None
