"""`edgebert bench`: bundles beside their full-precision baseline."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from edgebert.bundle import check_writable, read_manifest
from edgebert.commands.output import note, table, write, write_json
from edgebert.measure.agreement import agree
from edgebert.measure.bench import bench, read_workload, report_progress
from edgebert.measure.results import Case, Result
from edgebert.measure.suite import read_suite
from edgebert.measure.targets import open_target
from edgebert.measure.variants import find_baseline, variants_of


def run(arguments: argparse.Namespace) -> int:
    """Measure, write `result.json`, and show a table."""
    bundles = [Path(folder).resolve() for folder in arguments.bundle]
    suite = read_suite(Path(arguments.suite) if arguments.suite else None)
    manifest = read_manifest(bundles[0])
    variants = variants_of(bundles, find_baseline(bundles[0], arguments.baseline), arguments.stages, suite)
    workload = read_workload(Path(arguments.data), manifest) if arguments.data else None
    out = Path(arguments.out) if arguments.out else bundles[0].with_name(bundles[0].name + ".bench")
    check_writable(out)
    command = "edgebert " + shlex.join(arguments.argv)
    data = workload.path if workload else None
    with open_target(arguments.target, variants, data, note) as machine:
        if machine.emulated:
            result = agree(variants, workload, suite, out, command, machine, note)
        else:
            where = (machine.child, machine.name, machine.environment)
            result = bench(variants, workload, suite, out, command, report_progress, *where)
    note(f"result: {out / 'result.json'}")
    if arguments.json:
        write_json(result.as_dict())
    else:
        _show(result)
    return 0


def _show(result: Result) -> None:
    agreements = [case for case in result.cases if case.agreement]
    if agreements:
        _show_agreement(agreements)
        return
    single = [case for case in result.cases if case.scenario == "single_stream"]
    throughput = {case.variant: case.throughput for case in result.cases if case.scenario == "offline"}
    header = (
        "variant",
        "runtime",
        "lengths",
        "quality",
        "p50 ms",
        "p90",
        "p99",
        "texts/s",
        "cold ms",
        "RSS MB",
        "model MB",
    )
    write(table(header, [_row(case, throughput) for case in single]))
    for ratio in result.ratios:
        write(f"{ratio.what}: {ratio.value:.2f}x (95% {ratio.ci_low:.2f} to {ratio.ci_high:.2f})")
    if result.waterfall:
        columns = ("stage", "p50 ms", "faster", "model MB", "smaller", "quality")
        write("\n" + table(columns, [_waterfall_row(row) for row in result.waterfall]))


def _show_agreement(cases: list[Case]) -> None:
    columns = ("variant", "runtime", "quality there", "texts", "equal answers", "largest difference")
    write(table(columns, [_agreement_row(case) for case in cases]))
    write(f"emulated ({cases[0].emulated}): answers only, no times")


def _agreement_row(case: Case) -> tuple[str, ...]:
    found = case.agreement or {}
    quality = f"{case.quality['value']:.4f}" if case.quality else ""
    shares = (str(found["n"]), f"{found['equal']} ({found['share']:.2%})", f"{found['largest_difference']:.2g}")
    return case.variant, case.runtime, quality, *shares


def _waterfall_row(row: dict[str, Any]) -> tuple[Any, ...]:
    faster, smaller = f"{row.get('faster', 1):.2f}x", f"{row.get('smaller', 1):.2f}x"
    return row["variant"], row["p50_ms"], faster, row["size_mb"], smaller, row["quality"] or ""


def _row(case: Case, throughput: dict[str, float | None]) -> tuple[str, ...]:
    quality = f"{case.quality['value']:.4f}" if case.quality else ""
    offline = throughput.get(case.variant)
    figures = [case.p50_ms, case.p90_ms, case.p99_ms]
    return (
        *(case.variant, case.runtime, case.lengths, quality),
        *(f"{figure:.3f}" for figure in figures if figure is not None),
        f"{offline:.0f}" if offline else "",
        *(f"{figure:.0f}" for figure in (case.cold_start_ms or 0.0, case.peak_rss_mb or 0.0)),
        f"{case.size_mb:.1f}",
    )
