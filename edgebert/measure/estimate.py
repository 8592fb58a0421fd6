"""Estimate latency on other hardware, from a bundle's work and memory traffic and a profile's peaks.

Estimates are never mixed with measurements. The formula is a roofline's (Williams, Waterman and Patterson 2009):

    time = sum over the matrix products of max(MACs / (efficiency x peak), bytes / bandwidth)

Its one free parameter, the efficiency, is not chosen for a target. This machine reached it in the same run, with the
same graph at the same length: it is the time that the matrix products would take at the highest rates measured here,
divided by the time of the prediction. So it covers everything except matrix products, and the slowness of few rows, and
assumes that the target loses the same share to them. It leaves out other costs, above all a GPU's launches, so
estimates can be too low. If the true latency is known, the error is reported too.

On a GPU, an INT8 bundle is estimated as if its products were INT8 there too, which needs an export for that profile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from edgebert.measure.document import EstimateRow
from edgebert.measure.job import Environment, Probe
from edgebert.measure.results import Case, Result
from edgebert.measure.scenarios.probe import is_bound, peak_of
from edgebert.measure.variants import Variant
from edgebert.runtime.cost import Precision, Product, macs, main_precision, read_cost, standard_encoder
from edgebert.target import Target

MODEL = "roofline: sum over the matrix products of max(MACs / (efficiency x peak), bytes / bandwidth)"
HERE = "this machine"
CPU = "CPUExecutionProvider"
PRECISIONS: tuple[Precision, ...] = ("int8", "fp16", "fp32")


@dataclass(frozen=True)
class Limits:
    """A machine's limits: 10^9 multiply-accumulates per second by precision, 10^9 bytes per second."""

    name: str
    peak_gmacs: dict[str, float]
    bandwidth_gb_s: float
    threads: int | None


@dataclass(frozen=True)
class Published:
    """A published latency of a model whose matrix products are known."""

    profile: str
    what: str
    source: str
    length: int
    precision: Precision
    value_ms: float


TENSORRT = "NVIDIA, TensorRT 8.4, demo/BERT README: T4, batch 1"
PUBLISHED = (
    Published("nvidia-t4", "BERT-base", TENSORRT, 128, "int8", 1.69),
    Published("nvidia-t4", "BERT-base", TENSORRT, 128, "fp16", 1.95),
    Published("nvidia-t4", "BERT-base", TENSORRT, 384, "int8", 2.52),
    Published("nvidia-t4", "BERT-base", TENSORRT, 384, "fp16", 4.04),
)


def add_estimates(result: Result, variants: Sequence[Variant], targets: Sequence[Target], threads: int) -> list[str]:
    """Add estimates for other hardware to a bench with rooflines, and the error of such estimates.

    A row of `estimates` with a `reference` is a check: `error` is `value` divided by the reference, minus 1. A case
    with products in a precision whose peak was not measured has no efficiency, and so no estimate.

    Args:
        result: A bench with `roofline` in its cases.
        variants: What was measured.
        targets: Profiles to estimate for.
        threads: Threads of the bench; for a CPU target, as many of its cores are assumed.

    Returns:
        A message for every case that is left out.
    """
    costs = {variant.name: read_cost(variant.manifest) for variant in variants}
    here = measured_limits(result.environment.get("gemm"))
    cases = [case for case in result.cases if case.roofline]
    if here is None or not cases or not targets:
        return []
    unmeasured = {case.variant: _unmeasured(costs[case.variant], here) for case in cases}
    reached = [_Reached(case, costs[case.variant], here) for case in cases if not unmeasured[case.variant]]
    for target in targets:
        limits = profile_limits(target, threads)
        measured = is_this_machine(target, result.environment)
        for each in reached:
            result.estimates += _for_target(each, target, limits, measured)
    result.estimates += _left_out(reached, here)
    for target in targets:
        result.estimates += published_checks(reached, profile_limits(target, threads)) if reached else []
    named = [(name, lacks) for name, lacks in unmeasured.items() if lacks]
    return [f"no estimates from {name}: no {lacks} peak was measured here" for name, lacks in named]


class _Reached:
    """A measured case: its products, its text's windows, and its efficiency on this machine."""

    def __init__(self, case: Case, products: list[Product], here: Limits) -> None:
        assert case.roofline is not None
        assert case.p50_ms is not None
        self.case, self.products = case, products
        self.windows: list[int] = case.roofline["windows"]
        self.efficiency = efficiency_of(products, self.windows, case.p50_ms, here)
        self.title = f"{case.variant}, {case.lengths if case.lengths == 'natural' else case.lengths + ' tokens'}"


def _unmeasured(products: Sequence[Product], here: Limits) -> str:
    """Precisions in a graph whose peak was not measured, in words; None if there are none."""
    lacking = {product.precision for product in products} - set(here.peak_gmacs)
    return " or ".join(precision.upper() for precision in sorted(lacking))


def efficiency_of(products: Sequence[Product], windows: Sequence[int], p50_ms: float, limits: Limits) -> float:
    """Share of a prediction's time that its matrix products would take at the machine's highest rates."""
    work = {name: macs((each for each in products if each.precision == name), windows) for name in PRECISIONS}
    return sum(count / limits.peak_gmacs[name] for name, count in work.items() if count) / (p50_ms * 1e6)


def estimate_ms(products: Iterable[Product], windows: Sequence[int], limits: Limits, efficiency: float) -> float:
    """Compute the formula above, in milliseconds."""
    seconds = 0.0
    for product in products:
        for length in windows:
            computing = product.macs(length) / (efficiency * limits.peak_gmacs[product.precision] * 1e9)
            seconds += max(computing, product.bytes(length) / (limits.bandwidth_gb_s * 1e9))
    return seconds * 1e3


def profile_limits(target: Target, threads: int) -> Limits:
    """A profile's theoretical peaks (a MAC is two operations); for a CPU, those of as many cores as threads."""
    hardware = target.hardware
    cores = min(threads, hardware.cores) if target.export.provider == CPU else None
    share = 1.0 if cores is None else cores / hardware.cores
    peaks = {"int8": hardware.peak_int8_gops, "fp16": hardware.peak_fp16_gflops, "fp32": hardware.peak_fp32_gflops}
    known = {name: round(peak / 2 * share, 3) for name, peak in peaks.items() if peak}
    return Limits(target.name, known, hardware.memory_bandwidth_gb_s, cores)


def measured_limits(probe: Probe | None) -> Limits | None:
    """The highest rates that the probe measured here."""
    if probe is None:
        return None
    peaks = {name: peak_of(probe, name) if is_bound(probe) else None for name in PRECISIONS}
    known: dict[str, float] = {name: peak for name, peak in peaks.items() if peak}
    return Limits(f"{HERE}, measured peaks", known, probe["copy_gb_s"], probe["threads"])


def is_this_machine(target: Target, environment: Environment) -> bool:
    """Whether a run used a profile's kind of machine: its architecture, and a CPU with all its features."""
    on_cpu = target.export.provider == environment.get("provider", CPU) == CPU
    alike = on_cpu and target.machine == environment.get("machine")
    return alike and set(target.hardware.features) <= set(environment.get("flags", ()))


def published_checks(reached: Sequence[_Reached], limits: Limits) -> list[EstimateRow]:
    """Compare published latencies on a target with the formula's results for the same model.

    The efficiency comes from the last bundle measured here, at the length nearest to the published one.
    """
    rows = []
    for known in PUBLISHED:
        if known.profile != limits.name:
            continue
        last = [each for each in reached if each.case.variant == reached[-1].case.variant]
        nearest = min(last, key=lambda each: abs(sum(each.windows) - known.length))
        products = standard_encoder(layers=12, width=768, heads=12, ffn=3072, precision=known.precision)
        row = _row(limits, products, [known.length], nearest.efficiency, nearest.title)
        row["variant"], row["lengths"], row["precision"] = known.what, str(known.length), known.precision
        rows.append(_checked(row, known.value_ms, known.source))
    return rows


def _for_target(each: _Reached, target: Target, limits: Limits, measured: bool) -> list[EstimateRow]:
    """The bundle's products, in FP16 if the profile exports to FP16."""
    forms = {main_precision(each.products, each.windows): each.products}
    if target.export.precision == "fp16":
        forms["fp16"] = [replace(product, precision="fp16") for product in each.products]
    rows = []
    for precision, products in forms.items():
        if any(product.precision not in limits.peak_gmacs for product in products):
            continue
        row = _named(_row(limits, products, each.windows, each.efficiency, each.title), each.case, precision)
        rows.append(_checked(row, each.case.p50_ms, "measured here, in this run") if measured else row)
    return rows


def _left_out(reached: Sequence[_Reached], here: Limits) -> list[EstimateRow]:
    """Test the method: estimate every case here from the other cases' efficiency at the same lengths."""
    rows = []
    for each in reached:
        others = [other for other in reached if other is not each and other.case.lengths == each.case.lengths]
        if not others:
            continue
        assumed = median(other.efficiency for other in others)
        row = _row(
            here, each.products, each.windows, assumed, "median of " + "; ".join(other.title for other in others)
        )
        row = _named(row, each.case, main_precision(each.products, each.windows))
        rows.append(_checked(row, each.case.p50_ms, "measured here, in this run"))
    return rows


def _row(
    limits: Limits, products: Sequence[Product], windows: Sequence[int], efficiency: float, reached_by: str
) -> EstimateRow:
    used = {product.precision for product in products}
    return {
        "what": "p50_ms",
        "model": MODEL,
        "profile": limits.name,
        "value": round(estimate_ms(products, windows, limits, efficiency), 4),
        "inputs": {
            "windows": list(windows),
            "macs": macs(products, windows),
            "bytes": sum(product.bytes(length) for length in windows for product in products),
            "efficiency": round(efficiency, 4),
            "efficiency_of": reached_by,
            "peak_gmacs": {name: peak for name, peak in limits.peak_gmacs.items() if name in used},
            "bandwidth_gb_s": limits.bandwidth_gb_s,
            "threads": limits.threads,
        },
        "reference": None,
        "reference_source": None,
        "error": None,
    }


def _named(row: EstimateRow, case: Case, precision: str) -> EstimateRow:
    return {**row, "variant": case.variant, "lengths": case.lengths, "precision": precision}


def _checked(row: EstimateRow, reference: float | None, source: str) -> EstimateRow:
    assert reference is not None
    return row | {"reference": reference, "reference_source": source, "error": round(row["value"] / reference - 1, 4)}
