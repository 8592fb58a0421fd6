"""If a bundle's runtime cannot run on the machine, measure its next one instead, and report it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edgebert.errors import MissingDependencyError
from edgebert.escape import escaped
from edgebert.measure.job import Job
from edgebert.measure.process import run_child
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant
from edgebert.runtimes import RUNTIMES, next_runtime

LONGEST = 400


def runnable(variants: Sequence[Variant], machine: Machine, say: Callable[[str], None]) -> list[Variant]:
    """Return the variants, each with a runtime that can run on the machine.

    Args:
        variants: The variants to measure. Only runtimes that may give way are tested: a process opens the bundle.
        machine: The machine to measure on.
        say: Receives a message for every runtime that gives way, with the reason.

    Raises:
        MissingDependencyError: A runtime that the suite names cannot run there, or a bundle has no other runtime.
    """
    found: list[Variant] = []
    names: dict[str, list[str]] = {}
    where = "" if machine.name == "local" else f"{machine.name}: "
    for variant in variants:
        reason = _unusable(variant, machine) if RUNTIMES[variant.runtime].gives_way else ""
        graphs = variant.manifest.runtime.graphs
        other = next_runtime(variant.runtime, graphs) if reason and variant.is_default else ""
        if reason and not other:
            raise MissingDependencyError(f"{where}{variant.folder}: {reason}")
        if other:
            names.setdefault(f"{reason}; {other} is measured instead", []).append(variant.name)
            variant = replace(variant, runtime=other, instead_of=variant.runtime)
        found.append(variant)
    for told, several in names.items():
        say(f"note: {where}{', '.join(several)}: {told}")
    return found


def _unusable(variant: Variant, machine: Machine) -> str:
    """Say why a variant's runtime cannot run; "" if it can. An emulated machine needs it here too, for comparison."""
    job: Job = {"scenario": "usable", "bundle": str(variant.folder), "runtime": variant.runtime}
    reasons = (child(job)["unusable"] for child in (machine.child, *([run_child] if machine.emulated else [])))
    return escaped(next(filter(None, reasons), ""))[:LONGEST]
