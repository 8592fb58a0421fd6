"""Agreement: compare a bundle's answers on another machine with those here. Nothing is timed."""

from __future__ import annotations

import math

from edgebert.bundle import bundle_hash
from edgebert.errors import InputError, RunError
from edgebert.measure.document import AgreementRow
from edgebert.measure.experiment import Experiment
from edgebert.measure.job import Answer, Child, Job
from edgebert.measure.process import run_child
from edgebert.measure.results import Case, Result
from edgebert.measure.suite import Suite
from edgebert.measure.targets.machine import Machine, Progress
from edgebert.measure.variants import Variant
from edgebert.measure.verdict import saturating

# Scores (of a regression, or a cosine) that differ by less count as equal.
SAME_SCORE = 0.01


def agree(
    experiment: Experiment, machine: Machine, progress: Progress = lambda line: None, here: Child = run_child
) -> Result:
    """Answer a data file with every variant on both machines, and write `result.json` after each.

    Args:
        experiment: The variants and the data file, with or without labels; of the suite only `threads` is used.
        machine: The other machine; nothing is timed, and the cases have no latency.
        progress: Called with a line before every process.
        here: Runs one job on this machine.

    Raises:
        InputError: There is no data file.
        RunError: A process failed; earlier results are kept.
    """
    variants, workload, suite = experiment.variants, experiment.workload, experiment.suite
    if workload is None:
        raise InputError(f"{machine.name}: emulation shows answers, not times; give --data FILE to answer")
    result = experiment.result(machine.environment())
    # Nothing is timed, so the verdict does not apply.
    result.verdict = {"saturating": saturating(variants, result.environment)}
    for number, variant in enumerate(variants, 1):
        job: Job = {
            "bundle": str(variant.folder),
            "runtime": variant.runtime,
            "threads": suite.threads,
            "scenario": "answers",
            "length": 0,
            "texts": workload.inputs[:1],
            "data": str(workload.path.resolve()),
            "named": workload.named.as_dict(),
            "metric": variant.manifest.data.metric,
        }
        progress(f"[{2 * number - 1}/{2 * len(variants)}] {variant.name}: answers, here")
        ours = here(job)
        progress(f"[{2 * number}/{2 * len(variants)}] {variant.name}: answers, {machine.name}")
        theirs = machine.child(job)
        try:
            agreement = compare(ours, theirs)
        except ValueError:
            raise RunError(
                f"{machine.name}: {variant.name}: answered a different number of texts or outputs than here; "
                "EdgeBERT there was altered or is another version, run the same command again"
            ) from None
        result.cases.append(_case(variant, suite, machine, theirs, agreement))
        result.write(experiment.folder)
    result.finished = True
    result.write(experiment.folder)
    return result


def compare(ours: Answer, theirs: Answer) -> AgreementRow:
    """Count equal answers, and compare the outputs behind them.

    Returns:
        `n`, `equal`, `share` of equal answers; `largest_difference` between compared output values; `not_finite`, the
        number of values that are NaN or infinite, here and there. An answer with such a value is never equal, and if
        there are any, `largest_difference` is missing.
    """
    not_finite = [a + b for a, b in zip(ours["not_finite"], theirs["not_finite"], strict=True)]
    answers = zip(ours["answers"], theirs["answers"], not_finite, strict=True)
    equal = sum(not unsound and same(a, b) for a, b, unsound in answers)
    rows = zip(ours["outputs"], theirs["outputs"], strict=True)
    apart = (abs(a - b) for row in rows for a, b in zip(*row, strict=True))
    count = len(ours["answers"])
    return {
        "n": count,
        "equal": equal,
        "share": round(equal / count, 6),
        "largest_difference": None if any(not_finite) else float(f"{max(apart, default=0.0):.3g}"),
        "not_finite": sum(not_finite),
    }


def same(ours: object, theirs: object) -> bool:
    """Whether two answers agree: labels, tags and texts must be equal, scores within 0.01."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=0, abs_tol=SAME_SCORE)
    return bool(ours == theirs)


def _case(variant: Variant, suite: Suite, machine: Machine, theirs: Answer, agreement: AgreementRow) -> Case:
    return Case(
        bundle=variant.manifest.name,
        bundle_hash=bundle_hash(variant.folder),
        variant=variant.name,
        target=machine.name,
        runtime=variant.runtime,
        scenario="agreement",
        batch=1,
        lengths="natural",
        threads=suite.threads,
        samples=agreement["n"],
        size_mb=round(variant.size_mb, 3),
        quality=theirs["quality"],
        agreement=agreement,
        emulated=machine.emulated or None,
        role=variant.role,
        instead_of=variant.instead_of or None,
        precision=variant.manifest.precision,
    )
