"""The list of processes to run, and their order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

RUNTIMES = ("onnxruntime", "pytorch")


@dataclass(frozen=True)
class Case:
    """One architecture on one runtime with one job."""

    job: str
    runtime: str
    architecture: str

    @property
    def name(self) -> str:
        """Name of the case, for example `classify, onnxruntime, decoder`."""
        return f"{self.job}, {self.runtime}, {self.architecture}"


@dataclass(frozen=True)
class Process:
    """A fresh process of a case, for latency or for memory."""

    case: Case
    memory: bool

    @property
    def what(self) -> str:
        """Description for the progress line."""
        return f"{self.case.name}: {'memory' if self.memory else 'latency'}"


def cases(architectures: Sequence[str], runtimes: Sequence[str], jobs: Sequence[str]) -> list[Case]:
    """List all cases. Cases that are compared with each other are adjacent."""
    return [Case(job, runtime, each) for job in jobs for runtime in runtimes for each in architectures]


def processes(planned: Sequence[Case], rounds: int, memory_rounds: int, seed: int) -> list[Process]:
    """List the processes: all rounds of latency, then memory.

    A group (the architectures with one job on one runtime) runs without interruption, because its cases are compared
    with each other. The groups, and the cases in each group, are shuffled again every round.
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
