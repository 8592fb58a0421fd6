"""Roofline: a prediction's work and memory traffic, the machine's measured peak, and the share of it that is reached.

After Williams, Waterman and Patterson 2009. The peak is measured with matrix products of the bundle's own sizes, in the
precision of most of its work, with as many rows as the text has tokens (`measure.scenarios.probe`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebert.measure.document import RooflineRow
from edgebert.measure.experiment import Experiment, job_of, timed_texts
from edgebert.measure.job import Child, Input, Job, Probe
from edgebert.measure.results import Case, Result, write_json
from edgebert.measure.scenarios.probe import is_bound, peak_of
from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant
from edgebert.runtime.cost import Product, macs, main_precision, parts, read_cost

Progress = Callable[[str], None]

# Peaks are measured for a model's mix of sizes; more sizes than this change little and cost time.
MOST_SHAPES = 4
PROFILED = 100
# A token that every vocabulary has; the time of operators does not depend on it.
TOKEN = 5


def add_roofline(result: Result, experiment: Experiment, child: Child, progress: Progress) -> None:
    """Measure the machine's peaks into `environment.gemm`, and add `roofline` to every single-stream case.

    Args:
        result: A finished bench.
        experiment: What was measured; the peaks are taken at the sizes of the last variant's matrices.
        child: Runs one job in a fresh process.
        progress: Called with a line before it.

    Raises:
        RunError: The process failed.
    """
    variants, inputs = experiment.variants, experiment.inputs
    costs = {variant.name: read_cost(variant.manifest) for variant in variants}
    cases = [case for case in result.cases if case.scenario == "single_stream" and case.p50_ms and costs[case.variant]]
    if not cases:
        return
    probed = next(variant for variant in reversed(variants) if costs[variant.name])
    fixed = sorted({int(case.lengths) for case in cases if case.lengths != "natural"})
    used = [product.precision for cost in costs.values() for product in cost if product.kind != "lookup"]
    job = job_for(probed, experiment.suite, "probe", 0 if inputs else fixed[0], inputs)
    job["shapes"] = weight_shapes(costs[probed.name])
    job["precisions"], job["rows"] = sorted({"int8", "fp32", *used}), fixed
    progress(f"probe: matrix products of {probed.name}'s sizes")
    answer = child(job)
    result.environment["gemm"] = answer["probe"]
    for case in cases:
        windows = answer["windows"] if case.lengths == "natural" else [int(case.lengths)]
        assert case.p50_ms is not None
        case.roofline = roofline(costs[case.variant], windows, case.p50_ms, answer["probe"])


def roofline(products: Sequence[Product], windows: Sequence[int], p50_ms: float, probe: Probe) -> RooflineRow:
    """Compute one case's roofline.

    Args:
        products: The graph's matrix products and lookups.
        windows: Tokens of each window of the text; one window unless the text is longer than the model's input.
        p50_ms: Median latency.
        probe: The machine's peaks.

    Returns:
        `macs` and `bytes` of a prediction; `peak_gmacs`, `reached_gmacs` and `share`, with their `precision` and
        `windows`; and `parts`, the same counts by kind and precision. On a GPU there is no peak and no `share`: the
        probe launches its products one by one there, and a session that launches them as one recorded graph is faster.
    """
    precision, work = main_precision(products, windows), macs(products, windows)
    peak = peak_of(probe, precision, max(windows)) if is_bound(probe) else None
    reached = work / p50_ms / 1e6
    return {
        "macs": work,
        "bytes": sum(product.bytes(length) for length in windows for product in products),
        "peak_gmacs": peak,
        "reached_gmacs": round(reached, 2),
        "share": round(reached / peak, 4) if peak else None,
        "precision": precision,
        "windows": list(windows),
        "parts": parts(products, windows),
    }


def add_operators(result: Result, experiment: Experiment, child: Child, progress: Progress) -> None:
    """Add `operators` to every single-stream case, in a process of its own each.

    The time of every node is written to `raw/`.

    Raises:
        RunError: A process failed; earlier results are kept.
    """
    known, out = {variant.name: variant for variant in experiment.variants}, experiment.folder
    for case in result.cases:
        if case.scenario != "single_stream":
            continue
        progress(f"{case.variant}: operators, {case.lengths}")
        length = 0 if case.lengths == "natural" else int(case.lengths)
        answer = child(job_for(known[case.variant], experiment.suite, "operators", length, experiment.inputs))
        case.operators = answer["operators"]
        write_json(out / operators_file(case), {"operators": answer["operators"], "nodes": answer["nodes"]})
        result.write(out)


def operators_file(case: Case) -> str:
    """File with the time of every node of a case, relative to the result's folder."""
    return f"raw/{case.variant}-operators-{case.lengths}.json"


def job_for(variant: Variant, suite: Suite, scenario: str, length: int, inputs: Sequence[Input]) -> Job:
    """A job over the timed texts, or over texts of a fixed length."""
    job: Job = {**job_of(variant, suite, scenario, length), "samples": min(suite.samples, PROFILED)}
    if length:
        return {**job, "ids": [[TOKEN] * length]}
    return {**job, "texts": timed_texts(inputs, suite)}


def weight_shapes(products: Sequence[Product]) -> list[tuple[int, int, int]]:
    """Inner dimension, columns and count of the layers' weight matrices, largest total work first."""
    counts: dict[tuple[int, int], int] = {}
    for product in products:
        if product.kind == "weights":
            size = int(product.inner), int(product.columns)
            counts[size] = counts.get(size, 0) + product.count
    ordered = sorted(counts.items(), key=lambda item: -item[0][0] * item[0][1] * item[1])
    return [(inner, columns, count) for (inner, columns), count in ordered[:MOST_SHAPES]]
