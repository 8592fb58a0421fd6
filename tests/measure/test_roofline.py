"""Roofline and operators of a bench: figures from made-up peaks, with simulated child processes."""

import json
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of, rewrite

from edgebert.data.examples import Example
from edgebert.errors import RunError
from edgebert.measure.bench import bench
from edgebert.measure.experiment import Experiment
from edgebert.measure.process import run_child
from edgebert.measure.results import Case, Result
from edgebert.measure.roofline import add_operators, add_roofline, roofline, weight_shapes
from edgebert.measure.suite import Suite
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant
from edgebert.measure.workload import Workload
from edgebert.runtime.cost import Product, cost_entries, macs, standard_encoder

SUITE = Suite(rounds=2, samples=10, warmup=1, lengths=(16, 128))
FP32 = standard_encoder(2, 8, 2, 16, "fp32")
INT8 = [*standard_encoder(1, 8, 2, 16, "int8"), Product("lookup", "int8", (), 1, 1, "n", 0, 8)]
RATES = {"fp32": 100.0, "int8": 400.0}
TEXTS = [f"text {at}" for at in range(40)]


def variant(name: str, products: list[Product]) -> Variant:
    return Variant(name, Path("/bundles") / name, manifest_of(cost=cost_entries(products)), "onnxruntime")


def case(name: str, lengths: str, p50_ms: float | None = 0.01, scenario: str = "single_stream") -> Case:
    return Case("b", "hash", name, "local", "onnxruntime", scenario, 1, lengths, 1, p50_ms=p50_ms)


class Child:
    """Answers with a peak that falls with the rows, so that each can be told; the middle text has two windows."""

    def __init__(self) -> None:
        self.jobs: list[dict[str, Any]] = []

    def __call__(self, job: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append(job)
        if job["scenario"] == "operators":
            operators = [{"op": job["bundle"], "count": 1, "us": 2.0, "share": 1.0}]
            return {"operators": operators, "nodes": [{"node": "n"}]}
        windows = [] if job["length"] else [20, 30]
        rows = [1, *job["rows"], *windows, 256]
        peaks = [
            {"precision": name, "rows": at, "gmacs": rate - at / 100} for name, rate in RATES.items() for at in rows
        ]
        return {"windows": windows, "probe": {"peaks": peaks, "copy_gb_s": 10.0, "threads": job["threads"]}}


def experiment(variants: list[Variant], texts: list[str], suite: Suite, folder: Path = Path("out")) -> Experiment:
    workload = Workload([Example(text, None, None, 1) for text in texts], Path("d"), "", [*texts]) if texts else None
    return Experiment(variants, workload, suite, folder)


def result_of(*cases: Case) -> Result:
    return Result("", {}, None, {"cpu": "x"}, list(cases))


def test_every_single_stream_case_is_held_to_the_peak_of_its_precision_and_rows() -> None:
    variants, child = [variant("fp32", FP32), variant("bundle", INT8)], Child()
    result = result_of(case("fp32", "natural"), case("bundle", "natural", 0.02), case("bundle", "128"))
    result.cases.append(case("bundle", "natural", None, "offline"))
    add_roofline(result, experiment(variants, TEXTS, SUITE), child, lambda line: None)
    baseline, bundle, fixed = (found.roofline for found in result.cases[:3])
    assert baseline
    assert bundle
    assert fixed
    assert (baseline["precision"], baseline["peak_gmacs"], baseline["windows"]) == ("fp32", 100 - 0.3, [20, 30])
    assert baseline["macs"] == macs(FP32, [20, 30])
    assert baseline["reached_gmacs"] == round(macs(FP32, [20, 30]) / 0.01 / 1e6, 2)
    assert baseline["share"] == pytest.approx(baseline["reached_gmacs"] / baseline["peak_gmacs"], abs=1e-4)
    assert (bundle["precision"], bundle["peak_gmacs"]) == ("int8", 400 - 0.3)
    assert bundle["bytes"] == sum(each.bytes(20) + each.bytes(30) for each in INT8)
    assert (fixed["macs"], fixed["windows"], fixed["peak_gmacs"]) == (macs(INT8, [128]), [128], 400 - 1.28)
    assert result.cases[3].roofline is None
    assert result.environment["gemm"]["copy_gb_s"] == 10.0
    assert json.loads(json.dumps(result.as_dict()))["cases"][0]["roofline"] == baseline


def test_one_probe_at_the_sizes_of_the_last_bundle_serves_them_all() -> None:
    child = Child()
    result = result_of(case("fp32", "16"), case("fp32", "128"), case("bundle", "16"), case("bundle", "128"))
    add_roofline(
        result, experiment([variant("fp32", FP32), variant("bundle", INT8)], [], SUITE), child, lambda line: None
    )
    (job,) = child.jobs
    assert (job["scenario"], job["bundle"], job["threads"]) == ("probe", "/bundles/bundle", 1)
    assert (job["rows"], job["precisions"]) == ([16, 128], ["fp32", "int8"])
    assert job["shapes"] == [(8, 8, 4), (8, 16, 1), (16, 8, 1)]
    assert "texts" not in job


def test_a_bundle_without_counts_has_no_roofline_and_the_others_have_theirs() -> None:
    variants = [variant("fp32", []), variant("bundle", INT8)]
    result = result_of(case("fp32", "natural"), case("bundle", "natural"))
    add_roofline(result, experiment(variants, TEXTS, SUITE), Child(), lambda line: None)
    assert result.cases[0].roofline is None
    assert result.cases[1].roofline is not None
    child = Child()
    result = result_of(case("fp32", "natural"))
    add_roofline(result, experiment(variants[:1], TEXTS, SUITE), child, lambda line: None)
    assert child.jobs == []
    assert "gemm" not in result.environment


def test_a_peak_that_was_not_measured_gives_no_share() -> None:
    found = roofline(FP32, [8], 1.0, {"peaks": []})
    assert (found["peak_gmacs"], found["share"]) == (None, None)
    assert found["reached_gmacs"] >= 0


def test_products_launched_one_by_one_on_a_gpu_are_no_peak() -> None:
    probe = {"peaks": [{"precision": "fp32", "rows": 8, "gmacs": 1.0}], "provider": "CUDAExecutionProvider"}
    found = roofline(FP32, [8], 1.0, probe)
    assert (found["peak_gmacs"], found["share"]) == (None, None)


def test_the_matrices_that_take_most_work_come_first() -> None:
    odd = Product("weights", "int8", (0,), 1, 1, 1, 64, 64)
    attention = Product("attention", "fp32", (0,), 1, 12, "n", 64, "n")
    assert weight_shapes([*INT8, attention, odd]) == [(64, 64, 1), (8, 8, 4), (8, 16, 1), (16, 8, 1)]
    many = [Product("weights", "int8", (0,), 1, 1, "n", size, 8) for size in range(1, 9)]
    assert weight_shapes(many) == [(8, 8, 1), (7, 8, 1), (6, 8, 1), (5, 8, 1)]


def test_operators_are_asked_for_in_processes_of_their_own_over_the_texts_that_were_timed(tmp_path: Path) -> None:
    variants, child = [variant("fp32", FP32), variant("a/bundle", INT8)], Child()
    cases = [case("fp32", "natural"), case("a/bundle", "16"), case("a/bundle", "natural", None, "offline")]
    result = result_of(*cases)
    add_operators(result, experiment(variants, TEXTS, SUITE, tmp_path), child, lambda line: None)
    assert [(job["scenario"], job["bundle"], job["length"]) for job in child.jobs] == [
        ("operators", "/bundles/fp32", 0),
        ("operators", "/bundles/a/bundle", 16),
    ]
    assert child.jobs[1]["ids"] == [[5] * 16]
    assert [found.operators for found in result.cases] == [
        [{"op": "/bundles/fp32", "count": 1, "us": 2.0, "share": 1.0}],
        [{"op": "/bundles/a/bundle", "count": 1, "us": 2.0, "share": 1.0}],
        None,
    ]
    raw = json.loads((tmp_path / "raw" / "a" / "bundle-operators-16.json").read_text())
    assert raw["nodes"] == [{"node": "n"}]
    assert json.loads((tmp_path / "result.json").read_text())["cases"][0]["operators"] == result.cases[0].operators


def test_the_texts_are_those_of_the_timed_processes(built: Path, tmp_path: Path) -> None:
    timed: list[dict[str, Any]] = []

    def child(job: dict[str, Any]) -> dict[str, Any]:
        timed.append(job)
        raise RunError("enough")

    manifest = json.loads((built / "manifest.json").read_text())
    shipped = Variant("bundle", built, manifest_of(manifest), "onnxruntime")
    workload = Workload([Example(text, None, None, 1) for text in TEXTS], Path("d"), "", TEXTS)
    with pytest.raises(RunError):
        bench(Experiment([shipped], workload, Suite(samples=10), tmp_path), Machine(child=child))
    probed = Child()
    result = result_of(case("bundle", "natural"))
    add_roofline(result, experiment([shipped], TEXTS, Suite(samples=10)), probed, lambda line: None)
    assert sorted(probed.jobs[0]["texts"]) == sorted(timed[0]["texts"])


def test_a_real_probe_finds_the_middle_text_and_the_peaks_at_its_length(built: Path) -> None:
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "scenario": "probe", "length": 0}
    job |= {"warmup": 0, "samples": 1, "batch_size": 1, "shapes": [(32, 64, 2)], "precisions": ["int8"], "rows": [16]}
    answer = run_child({**job, "texts": ["a good film", "film", "the story was very awful and cold"]})
    assert answer["windows"] == [5]
    assert [row["rows"] for row in answer["probe"]["peaks"]] == [1, 5, 16, 256]


@pytest.mark.parametrize("scenario", ["probe", "operators"])
def test_a_targets_provider_goes_before_the_profiles(scenario: str, bundle_copy: Path) -> None:
    """A target that measures on another provider than the bundle was exported for is probed on that one too."""
    profile = json.loads((bundle_copy / "manifest.json").read_text())["profile"]
    profile["export"]["provider"] = "NoSuchExecutionProvider"
    rewrite(bundle_copy, profile=profile)
    job = {"bundle": str(bundle_copy), "runtime": "onnxruntime", "threads": 1, "scenario": scenario, "length": 8}
    job |= {"ids": [[5] * 8], "warmup": 0, "samples": 1, "batch_size": 1}
    job |= {"shapes": [(32, 64, 2)], "precisions": ["fp32"], "rows": [8], "provider": ["CPUExecutionProvider", {}]}
    answer = run_child(job)
    if scenario == "probe":
        assert answer["probe"]["provider"] == "CPUExecutionProvider"
    else:
        assert answer["operators"]
