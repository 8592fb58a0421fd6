"""Estimates: the formula computed by hand, a profile's limits, and the checks of estimates."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of

from edgebert.measure.estimate import (
    HERE,
    MODEL,
    PUBLISHED,
    Limits,
    add_estimates,
    efficiency_of,
    estimate_ms,
    is_this_machine,
    measured_limits,
    profile_limits,
)
from edgebert.measure.results import Case, Result
from edgebert.measure.variants import Variant
from edgebert.runtime.cost import Product, cost_entries, macs, standard_encoder
from edgebert.target import read_target

WEIGHTS = Product("weights", "int8", (0,), 1, 1, "n", 100, 100)
SCORES = Product("attention", "fp32", (0,), 1, 1, "n", 100, "n")
BUNDLE, BASELINE = [WEIGHTS, SCORES], [replace(WEIGHTS, precision="fp32"), SCORES]
LIMITS = Limits("x", {"int8": 4.0, "fp32": 1.0}, 1e6, 1)
PROBE = {
    "peaks": [{"precision": name, "rows": 256, "gmacs": rate} for name, rate in LIMITS.peak_gmacs.items()],
    "copy_gb_s": 1e6,
    "threads": 1,
}
FLAGS = ["avx2", "avx512f", "avx512_vnni", "avx512_bf16", "sse2"]


def test_a_product_takes_its_computing_or_its_memory_whichever_is_more() -> None:
    # 10 tokens: 100,000 INT8 MACs at half of 4 a nanosecond, and 10,000 FP32 ones at half of 1.
    assert estimate_ms(BUNDLE, [10], LIMITS, 0.5) == pytest.approx((100_000 / 2 + 10_000 / 0.5) / 1e6)
    assert estimate_ms(BUNDLE, [10, 10], LIMITS, 0.5) == pytest.approx(2 * 70_000 / 1e6)
    # 15,000 bytes of the first at a byte in ten nanoseconds are more than its 50,000 ns; of the second 8,400 bytes.
    slow = replace(LIMITS, bandwidth_gb_s=0.1)
    assert WEIGHTS.bytes(10) == 10_000 + 1_000 + 4_000
    assert SCORES.bytes(10) == (1_000 + 1_000 + 100) * 4
    assert estimate_ms(BUNDLE, [10], slow, 0.5) == pytest.approx((150_000 + 84_000) / 1e6)
    table = Product("lookup", "int8", (), 1, 1, "n", 0, 1000)
    assert estimate_ms([table], [10], slow, 0.5) == pytest.approx(0.1)


def test_the_efficiency_gives_back_the_latency_that_it_came_from() -> None:
    reached = efficiency_of(BUNDLE, [10], 0.07, LIMITS)
    assert reached == pytest.approx((100_000 / 4 + 10_000) / 70_000)
    assert estimate_ms(BUNDLE, [10], LIMITS, reached) == pytest.approx(0.07)


def test_a_profile_gives_its_peaks_in_macs_of_as_many_cores_as_threads() -> None:
    pi = read_target("raspberry-pi-5")
    one = profile_limits(pi, 1)
    assert one.peak_gmacs == {"int8": 614.4 / 2 / 4, "fp16": 307.2 / 2 / 4, "fp32": 153.6 / 2 / 4}
    assert (one.threads, one.bandwidth_gb_s) == (1, 17.1)
    assert profile_limits(pi, 2).peak_gmacs["int8"] == 614.4 / 2 / 2
    assert profile_limits(pi, 64) == profile_limits(pi, 4)
    assert profile_limits(pi, 64).threads == 4
    # A GPU is taken whole.
    assert profile_limits(read_target("nvidia-t4"), 1) == Limits(
        "nvidia-t4", {"int8": 65000.0, "fp16": 32500.0, "fp32": 4050.0}, 320.0, None
    )
    assert "fp16" not in profile_limits(read_target("raspberry-pi-4"), 1).peak_gmacs


def variant(name: str, products: list[Product]) -> Variant:
    return Variant(name, Path(name), manifest_of(cost=cost_entries(products)), "onnxruntime")


VARIANTS = [variant("fp32", BASELINE), variant("bundle", BUNDLE)]


def measured(flags: list[str] | None = None, probe: dict[str, Any] | None = PROBE) -> Result:
    """A bench at 10 tokens: the baseline reaches 0.8 of its products' best time, the bundle 0.5."""
    rows = []
    for name, p50_ms in (("fp32", 110_000 / 0.8 / 1e6), ("bundle", 35_000 / 0.5 / 1e6)):
        case = Case("b", "hash", name, "local", "onnxruntime", "single_stream", 1, "10", 1, p50_ms=p50_ms)
        case.roofline = {"windows": [10]}
        rows.append(case)
    rows.append(Case("b", "hash", "bundle", "local", "onnxruntime", "offline", 32, "natural", 1))
    environment = {"machine": "x86_64", "flags": flags or []} | ({"gemm": probe} if probe else {})
    return Result("", {}, None, environment, rows)


def test_every_case_is_estimated_for_every_profile_with_its_inputs_and_no_case_is_touched() -> None:
    result, before = measured(), measured().cases
    add_estimates(result, VARIANTS, [read_target("raspberry-pi-4"), read_target("graviton3")], 1)
    assert result.cases == before
    rows = [row for row in result.estimates if row["reference"] is None]
    assert [(row["profile"], row["variant"], row["precision"]) for row in rows] == [
        ("raspberry-pi-4", "fp32", "fp32"),
        ("raspberry-pi-4", "bundle", "int8"),
        ("graviton3", "fp32", "fp32"),
        ("graviton3", "bundle", "int8"),
    ]
    row = rows[1]
    assert (row["what"], row["model"], row["lengths"], row["error"]) == ("p50_ms", MODEL, "10", None)
    assert row["inputs"] == {
        "windows": [10],
        "macs": macs(BUNDLE, [10]),
        "bytes": 15_000 + 8_400,
        "efficiency": 0.5,
        "efficiency_of": "bundle, 10 tokens",
        "peak_gmacs": {"int8": 14.4, "fp32": 7.2},
        "bandwidth_gb_s": 12.8,
        "threads": 1,
    }
    assert row["value"] == round((100_000 / 7.2 + 10_000 / 3.6) / 1e6, 4)


def test_a_profile_that_asks_for_fp16_is_estimated_in_it_too() -> None:
    result = measured()
    add_estimates(result, VARIANTS, [read_target("jetson-orin-nano")], 1)
    rows = [row for row in result.estimates if row["reference"] is None]
    assert [(row["variant"], row["precision"]) for row in rows] == [
        ("fp32", "fp32"),
        ("fp32", "fp16"),
        ("bundle", "int8"),
        ("bundle", "fp16"),
    ]
    assert set(rows[3]["inputs"]["peak_gmacs"]) == {"fp16"}


def test_each_case_is_checked_with_what_the_others_reached() -> None:
    result = measured()
    add_estimates(result, VARIANTS, [read_target("raspberry-pi-4")], 1)
    checks = [row for row in result.estimates if row["profile"].startswith(HERE)]
    # The bundle with the baseline's 0.8 in place of its own 0.5, and the other way round.
    assert [(row["variant"], row["inputs"]["efficiency"], row["error"]) for row in checks] == [
        ("fp32", 0.5, pytest.approx(0.8 / 0.5 - 1, abs=1e-3)),
        ("bundle", 0.8, pytest.approx(0.5 / 0.8 - 1, abs=1e-3)),
    ]
    assert [row["reference"] for row in checks] == [case.p50_ms for case in result.cases[:2]]
    assert all(row["reference_source"] == "measured here, in this run" for row in checks)


def test_published_latencies_stand_beside_what_the_formula_gives_for_the_same_model() -> None:
    result = measured()
    add_estimates(result, VARIANTS, [read_target("nvidia-t4")], 1)
    checks = {(row["lengths"], row["precision"]): row for row in result.estimates if row["variant"] == "BERT-base"}
    assert {key: row["reference"] for key, row in checks.items()} == {
        ("128", "int8"): 1.69,
        ("128", "fp16"): 1.95,
        ("384", "int8"): 2.52,
        ("384", "fp16"): 4.04,
    }
    for (length, precision), row in checks.items():
        products = standard_encoder(12, 768, 12, 3072, precision)  # type: ignore[arg-type]
        limits = profile_limits(read_target("nvidia-t4"), 1)
        assert row["value"] == round(estimate_ms(products, [int(length)], limits, 0.5), 4)
        assert row["error"] == pytest.approx(row["value"] / row["reference"] - 1, abs=1e-3)
        assert "TensorRT" in row["reference_source"]
        assert row["inputs"]["efficiency_of"] == "bundle, 10 tokens"
    assert {known.profile for known in PUBLISHED} == {"nvidia-t4"}


def test_a_profile_of_this_kind_of_machine_is_checked_with_what_was_measured() -> None:
    target = read_target("x86-avx512-vnni")
    result = measured(FLAGS)
    add_estimates(result, VARIANTS, [target, read_target("raspberry-pi-5")], 1)
    rows = {(row["profile"], row["variant"]): row for row in result.estimates}
    assert rows["x86-avx512-vnni", "bundle"]["reference"] == result.cases[1].p50_ms
    assert rows["raspberry-pi-5", "bundle"]["reference"] is None
    assert is_this_machine(target, {"machine": "x86_64", "flags": FLAGS})
    assert not is_this_machine(target, {"machine": "x86_64", "flags": FLAGS[1:]})
    assert not is_this_machine(target, {"machine": "aarch64", "flags": FLAGS})
    on_gpu = {"machine": "x86_64", "flags": FLAGS, "provider": "CUDAExecutionProvider"}
    assert not is_this_machine(target, on_gpu)
    assert not is_this_machine(read_target("nvidia-t4"), {"machine": "x86_64", "flags": FLAGS})


def test_a_bundle_of_a_precision_without_a_peak_is_left_out_and_told() -> None:
    for peaks, told in (
        ({"fp32": 1.0}, ["no estimates from bundle: no INT8 peak was measured here"]),
        ({"fp16": 2.0}, ["fp32: no FP32", "bundle: no FP32 or INT8"]),
    ):
        rows = [{"precision": name, "rows": 256, "gmacs": rate} for name, rate in peaks.items()]
        result = measured(probe=PROBE | {"peaks": rows})
        targets = [read_target("nvidia-t4"), read_target("raspberry-pi-4")]
        lines = add_estimates(result, VARIANTS, targets, 1)
        assert len(lines) == len(told)
        assert all(part in line for part, line in zip(told, lines, strict=True))
        assert {row["variant"] for row in result.estimates} == ({"fp32", "BERT-base"} if "fp32" in peaks else set())


def test_a_gpus_products_one_by_one_are_no_peak_to_estimate_from() -> None:
    result = measured(probe=PROBE | {"provider": "CUDAExecutionProvider"})
    lines = add_estimates(result, VARIANTS, [read_target("nvidia-t4")], 1)
    assert [line.split(":")[0] for line in lines] == ["no estimates from fp32", "no estimates from bundle"]
    assert result.estimates == []


def test_without_peaks_or_profiles_there_are_no_estimates() -> None:
    for result, targets in ((measured(probe=None), [read_target("graviton3")]), (measured(), [])):
        assert add_estimates(result, VARIANTS, targets, 1) == []
        assert result.estimates == []
    assert measured_limits(None) is None
