"""Which processes are run, and in which order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

RUNTIMES = ("onnxruntime", "pytorch")


@dataclass(frozen=True)
class Case:
    """One architecture in one runtime on one job."""

    job: str
    runtime: str
    architecture: str

    @property
    def name(self) -> str:
        """`classify, onnxruntime, decoder`."""
        return f"{self.job}, {self.runtime}, {self.architecture}"


@dataclass(frozen=True)
class Process:
    """A fresh process of a case; memory is read in processes of its own."""

    case: Case
    memory: bool

    @property
    def what(self) -> str:
        """For the line of progress."""
        return f"{self.case.name}: {'memory' if self.memory else 'latency'}"


def cases(architectures: Sequence[str], runtimes: Sequence[str], jobs: Sequence[str]) -> list[Case]:
    """Every case; those that are compared stand side by side."""
    return [Case(job, runtime, each) for job in jobs for runtime in runtimes for each in architectures]


def processes(planned: Sequence[Case], rounds: int, memory_rounds: int, seed: int) -> list[Process]:
    """Latency, round after round, then memory.

    What is compared (the architectures on one job in one runtime) runs side by side; the groups and the cases inside
    each are shuffled anew every round.
    """
    drawn = random.Random(seed)
    found = []
    for memory, count in ((False, rounds), (True, memory_rounds)):
        for _ in range(count):
            found += [Process(case, memory) for case in _shuffled(planned, drawn)]
    return found


def _shuffled(planned: Sequence[Case], drawn: random.Random) -> list[Case]:
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in planned:
        groups.setdefault((case.job, case.runtime), []).append(case)
    order = drawn.sample(list(groups.values()), len(groups))
    return [case for group in order for case in drawn.sample(group, len(group))]
