"""Estimate a bundle's speed quickly: a few fresh processes and full precision, about ten seconds, no result file.

`edgebert bench` measures properly: it runs more rounds, reports a disturbed machine, and writes a result file.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgebert.measure.experiment import job_of, timed_texts
from edgebert.measure.job import Answer, Input
from edgebert.measure.process import run_child
from edgebert.measure.scenarios.single_stream import compared
from edgebert.measure.statistics import MIN_ROUNDS, Ratio, Samples, median_ratio, percentile_ms
from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant, variants_of

ROUNDS = MIN_ROUNDS
SUITE = Suite(scenarios=("single_stream",), samples=40, warmup=4, rounds=ROUNDS, threads=1)


@dataclass(frozen=True)
class Glance:
    """Time per text in milliseconds, of a bundle and of full precision; `ratio` is above 1 if the bundle is faster."""

    ratio: Ratio
    baseline_ms: float
    bundle_ms: float


def glance(bundle: Path, baseline: Path, texts: Sequence[Input]) -> Glance:
    """Time texts one by one, one thread, in interleaved fresh processes.

    Args:
        bundle: The bundle's folder.
        baseline: Folder of the same model's full-precision bundle.
        texts: Inputs of the task.

    Raises:
        BundleError: A folder is not a bundle.
        RunError: A process failed.
    """
    variants, drawn = variants_of([bundle], baseline, False, SUITE), random.Random(SUITE.seed)
    rounds: list[list[Samples]] = [[], []]
    for _ in range(ROUNDS):
        for at in drawn.sample(range(len(variants)), len(variants)):
            rounds[at].append(compared(_timed(variants[at], texts)))
    before, after = rounds
    ratio = median_ratio("bundle", before, after)
    return Glance(ratio, percentile_ms(before, 50)[0], percentile_ms(after, 50)[0])


def _timed(variant: Variant, texts: Sequence[Input]) -> Answer:
    job = job_of(variant, SUITE, "single_stream")
    # Measuring energy would take two more seconds in every process.
    return run_child({**job, "energy": False, "texts": timed_texts(texts, SUITE)})
