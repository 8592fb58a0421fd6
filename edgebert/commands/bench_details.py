"""What `edgebert bench` tells beside latencies: the roofline, time by operator, estimates for other hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgebert.commands.output import table, write
from edgebert.measure.estimate import MODEL, add_estimates
from edgebert.measure.job import Child, Estimate
from edgebert.measure.results import Case, Result
from edgebert.measure.roofline import add_operators, add_roofline, operators_file
from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant
from edgebert.runtime.cost import read_cost
from edgebert.target import Target

SHOWN_OPERATORS = 12


def add_details(
    result: Result,
    variants: Sequence[Variant],
    inputs: Sequence[Any],
    suite: Suite,
    out: Path,
    profile_ops: bool,
    targets: Sequence[Target],
    child: Child,
    say: Callable[[str], None],
) -> None:
    """Complete a bench that is done, and write its result again.

    Args:
        result: The bench.
        variants: What was measured.
        inputs: Texts of natural lengths, none where only fixed lengths were measured.
        suite: What was measured of them.
        out: The result's folder.
        profile_ops: Take the time of every operator.
        targets: Profiles to estimate for.
        child: Runs one job in a fresh process of the machine that was measured.
        say: Called with a line before every process, and with what cannot be told.

    Raises:
        RunError: A process failed; what was measured stays written.
    """
    for variant in variants:
        if not read_cost(variant.manifest):
            say(f"no roofline of {variant.name}: exported before its work was counted; export it again")
    add_roofline(result, variants, inputs, suite, child, say)
    result.write(out)
    if profile_ops:
        add_operators(result, variants, inputs, suite, out, child, say)
    left_out = add_estimates(result, variants, targets, suite.threads)
    for line in left_out:
        say(line)
    if targets and not result.estimates and not left_out:
        say("no estimates: they need a single-stream case with a roofline")
    result.write(out)


def show_details(result: Result) -> None:
    """The tables of what was found, on stdout."""
    if rooflines := [_roofline_row(case) for case in result.cases if case.roofline]:
        columns = ("variant", "lengths", "tokens", "MMAC", "MB", "peak of", "GMAC/s", "reached", "share")
        write("\nroofline: a matrix product's peak here, and what the whole prediction reaches of it")
        write(table(columns, rooflines))
    for case in result.cases:
        if case.operators is not None:
            _show_operators(case)
    if result.estimates:
        write(f"\nESTIMATES, not measurements; {MODEL};")
        write("efficiency: what the same graph reached here at the same length. Errors are against known latencies.")
        columns = ("for", "of", "lengths", "precision", "estimate ms", "efficiency", "known ms", "error", "known from")
        write(table(columns, [_estimate_row(row) for row in result.estimates]))


def _roofline_row(case: Case) -> tuple[Any, ...]:
    found = case.roofline or {}
    peak, share = found["peak_gmacs"], found["share"]
    return (
        *(case.variant, case.lengths, sum(found["windows"]), f"{found['macs'] / 1e6:.1f}"),
        *(f"{found['bytes'] / 1e6:.1f}", found["precision"], f"{peak:.0f}" if peak else "unknown"),
        *(f"{found['reached_gmacs']:.1f}", f"{share:.0%}" if share is not None else ""),
    )


def _show_operators(case: Case) -> None:
    lengths = "natural lengths" if case.lengths == "natural" else f"{case.lengths} tokens"
    write(f"\noperators of {case.variant} on {case.runtime}, {lengths} (counted in a process of its own)")
    if not case.operators:
        write("not available: this runtime keeps no time by operator here")
        return
    rows = [(row["op"], f"{row['count']:g}", f"{row['us']:.1f}", f"{row['share']:.1%}") for row in case.operators]
    write(table(("operator", "count", "us", "share"), rows[:SHOWN_OPERATORS]))
    left = f"; {len(rows) - SHOWN_OPERATORS} more types" if len(rows) > SHOWN_OPERATORS else ""
    write(f"every node: {operators_file(case)}{left}")


def _estimate_row(row: Estimate) -> tuple[str, ...]:
    known = row["reference"] is not None
    return (
        *(row["profile"], row["variant"], row["lengths"], row["precision"], f"{row['value']:.3f}"),
        f"{row['inputs']['efficiency']:.3f}",
        *((f"{row['reference']:.3f}", f"{row['error']:+.0%}", str(row["reference_source"])) if known else ("", "", "")),
    )
