"""Judge whether the machine was disturbed during measurement, by what, and whether INT8 sums saturated."""

from __future__ import annotations

from collections.abc import Sequence

from edgebert.cpu import INT8_NAMES
from edgebert.measure.document import VerdictRow
from edgebert.measure.job import Environment
from edgebert.measure.results import Case
from edgebert.measure.variants import Variant
from edgebert.runtimes import saturates

# Limits for the last third of a process divided by its first, and for the slowest process divided by the fastest: a
# tenth.
DRIFT_LIMIT = 1.10
SPREAD_LIMIT = 1.10
# Number of cores that other processes kept busy.
OTHERS_LIMIT = 0.10


def verdict(
    cases: Sequence[Case], before: Environment, after: Environment, saturating: Sequence[str] = ()
) -> VerdictRow:
    """Judge a run.

    Args:
        cases: Cases, with `drift`, `spread` and `others` if known.
        before: The machine before the first case.
        after: The machine after the last one.
        saturating: The result of `saturating`.

    Returns:
        `disturbed`, and its `reasons` in words; `saturating`.
    """
    reasons = [*_throttled(before, after), *(reason for case in cases for reason in _reasons(case))]
    return {"disturbed": bool(reasons), "reasons": reasons, "saturating": list(saturating)}


def saturating(variants: Sequence[Variant], environment: Environment) -> list[str]:
    """Make a sentence for every variant whose INT8 sums saturate on the measured CPU.

    Args:
        variants: Variants measured on the CPU.
        environment: The machine's environment, with `int8`; if that is unknown, nothing counts as saturating.
    """
    cpu = f"{environment.get('cpu')}, {INT8_NAMES.get(str(environment.get('int8')))}"
    return [
        f"{variant.name} ({variant.runtime}): INT8 sums saturate on the measured CPU ({cpu}), so its answers are less "
        "accurate than with VNNI; export with --profile x86-avx2"
        for variant in variants
        if saturates(variant.manifest.int8_form, variant.runtime, environment.get("int8"))
    ]


def _throttled(before: Environment, after: Environment) -> list[str]:
    """What throttled the machine before or after, and throttling events in between."""
    first, last = set(before.get("throttled") or []), set(after.get("throttled") or [])
    words = {each for each in first | last if each.endswith(" now")} | (last - first)
    reasons = [f"the machine was throttled: {', '.join(sorted(words))}"] if words else []
    events = (after.get("throttle_events") or 0) - (before.get("throttle_events") or 0)
    return [*reasons, f"the cores were slowed {events} times because of heat"] if events > 0 else reasons


def _reasons(case: Case) -> list[str]:
    name = f"{case.variant}, {case.scenario}, {case.lengths}"
    reasons = []
    if case.drift is not None and not 1 / DRIFT_LIMIT <= case.drift <= DRIFT_LIMIT:
        reasons.append(f"{name}: the last third of a process took {case.drift:.2f} times the first third's median")
    if case.spread is not None and case.spread > SPREAD_LIMIT:
        reasons.append(f"{name}: the slowest process took {case.spread:.2f} times as long as the fastest")
    if case.others is not None and case.others > OTHERS_LIMIT and case.scenario != "memory":
        reasons.append(f"{name}: other processes kept {case.others:.2f} cores busy")
    return reasons
