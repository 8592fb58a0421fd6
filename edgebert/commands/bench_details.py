"""Tables that `edgebert bench` shows besides latencies: roofline, time by operator, estimates for other hardware."""

from __future__ import annotations

from edgebert.commands.output import table, write
from edgebert.measure.document import EstimateRow
from edgebert.measure.estimate import MODEL
from edgebert.measure.results import Case, Result
from edgebert.measure.roofline import operators_file

SHOWN_OPERATORS = 12


def show_details(result: Result) -> None:
    """Write the detail tables of a result to stdout."""
    if rooflines := [_roofline_row(case) for case in result.cases if case.roofline]:
        columns = ("variant", "lengths", "tokens", "MMAC", "MB", "peak of", "GMAC/s", "reached", "share")
        write("\nroofline: the peak of matrix products here, and the share that the whole prediction reaches")
        write(table(columns, rooflines))
    for case in result.cases:
        if case.operators is not None:
            _show_operators(case)
    if result.estimates:
        write(f"\nESTIMATES, not measurements; {MODEL};")
        write("efficiency: reached here by the same graph at the same length. Errors are relative to known latencies.")
        columns = ("for", "of", "lengths", "precision", "estimate ms", "efficiency", "known ms", "error", "known from")
        write(table(columns, [_estimate_row(row) for row in result.estimates]))


def _roofline_row(case: Case) -> tuple[object, ...]:
    found = case.roofline or {}
    peak, share = found["peak_gmacs"], found["share"]
    return (
        *(case.variant, case.lengths, sum(found["windows"]), f"{found['macs'] / 1e6:.1f}"),
        *(f"{found['bytes'] / 1e6:.1f}", found["precision"], f"{peak:.0f}" if peak else "unknown"),
        *(f"{found['reached_gmacs']:.1f}", f"{share:.0%}" if share is not None else ""),
    )


def _show_operators(case: Case) -> None:
    lengths = "natural lengths" if case.lengths == "natural" else f"{case.lengths} tokens"
    write(f"\noperators of {case.variant} on {case.runtime}, {lengths} (measured in a separate process)")
    if not case.operators:
        write("not available: this runtime does not time operators here")
        return
    rows = [(row["op"], f"{row['count']:g}", f"{row['us']:.1f}", f"{row['share']:.1%}") for row in case.operators]
    write(table(("operator", "count", "us", "share"), rows[:SHOWN_OPERATORS]))
    left = f"; {len(rows) - SHOWN_OPERATORS} more types" if len(rows) > SHOWN_OPERATORS else ""
    write(f"every node: {operators_file(case)}{left}")


def _estimate_row(row: EstimateRow) -> tuple[str, ...]:
    known = row["reference"] is not None
    return (
        *(row["profile"], row["variant"], row["lengths"], row["precision"], f"{row['value']:.3f}"),
        f"{row['inputs']['efficiency']:.3f}",
        *((f"{row['reference']:.3f}", f"{row['error']:+.0%}", str(row["reference_source"])) if known else ("", "", "")),
    )
