"""What one bench compares, and how often."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebert.measure.job import Environment, Input, Job, server_settings
from edgebert.measure.results import Result
from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant
from edgebert.measure.workload import Workload


@dataclass(frozen=True)
class Experiment:
    """What is measured, and where its result goes.

    Attributes:
        variants: The variants to measure, the baseline first.
        workload: Texts of natural lengths; None for fixed lengths only.
        suite: What to measure.
        folder: Folder for the result and the raw samples.
        command: The command line, which the result stores.
    """

    variants: Sequence[Variant]
    workload: Workload | None
    suite: Suite
    folder: Path
    command: str = ""

    @property
    def inputs(self) -> Sequence[Input]:
        """Texts of natural lengths; empty if only fixed lengths are measured."""
        return self.workload.inputs if self.workload else []

    @property
    def is_labelled(self) -> bool:
        """Whether there are texts with labels."""
        return self.workload is not None and self.workload.examples[0].label is not None

    def result(self, environment: Environment) -> Result:
        """Make a result without cases for a machine."""
        data = None if self.workload is None else self.workload.as_dict()
        return Result(self.command, asdict(self.suite), data, environment)


def job_of(variant: Variant, suite: Suite, scenario: str, length: int = 0) -> Job:
    """A job without inputs: one scenario of a variant, perhaps at a fixed length."""
    return {
        "bundle": str(variant.folder),
        "runtime": variant.runtime,
        "threads": suite.threads,
        # As `edgebert.load` does by default: the check of hashes is part of an application's first answer.
        "verify": True,
        "scenario": scenario,
        "length": length,
        "warmup": suite.warmup,
        "samples": suite.samples,
        "batch_size": suite.batch_size,
        "seed": suite.seed,
        "server": server_settings(suite.server),
        "soak_minutes": suite.soak_minutes,
    }


def timed_texts(inputs: Sequence[Input], suite: Suite) -> list[Input]:
    """The seeded sample of texts that the single-stream scenario times."""
    texts = list(inputs)
    random.Random(suite.seed).shuffle(texts)
    return texts[: suite.samples]
