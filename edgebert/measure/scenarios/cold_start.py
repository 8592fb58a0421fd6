"""Time from the start of a process to its first answer: import, load, first prediction.

The bundle is opened as `edgebert.load` does by default: the SHA-256 of every file is checked. Its files are in the page
cache; reading them from a disk takes additional time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

# The measured process imports this file before its last mark, so importing numpy here would be measured too.
if TYPE_CHECKING:
    from edgebert.measure.job import Answer, Job
    from edgebert.measure.results import Case
    from edgebert.measure.statistics import Samples
    from edgebert.runtime.model import Model

COMPARED = "cold start"


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Do nothing more: import, load and first answer are already timed."""
    return {}


def fill(case: Case, answers: Sequence[Answer]) -> None:
    """The start and its parts over the processes, and the interval of the total."""
    from edgebert.measure.scenarios.single_stream import fill_start
    from edgebert.measure.statistics import over_rounds, rounded

    fill_start(case, answers)
    case.samples = len(answers)
    _, interval = over_rounds([answer["cold_start_ns"] / 1e6 for answer in answers])
    case.cold_start_ci = rounded(interval, 2)


def compared(answer: Answer) -> Samples:
    """Nanoseconds from the start of the process to its first answer."""
    import numpy as np

    return np.array([answer["cold_start_ns"]], dtype=np.float64)
