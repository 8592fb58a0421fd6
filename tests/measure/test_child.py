"""Real child processes: measurements as in an application, and an error in one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of

from edgebert.errors import BundleError, RunError
from edgebert.measure.bench import bench
from edgebert.measure.experiment import Experiment
from edgebert.measure.process import overtime, run_child
from edgebert.measure.suite import Suite
from edgebert.measure.variants import find_baseline, variants_of
from edgebert.measure.workload import read_workload


@pytest.fixture
def job(built: Path, data_dir: Path) -> dict[str, Any]:
    """A job for a real child process, without its scenario."""
    manifest = json.loads((built / "manifest.json").read_text())
    texts = read_workload(data_dir / "test.tsv", manifest_of(manifest)).inputs[:5]
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "length": 0, "warmup": 2, "samples": 12}
    return {**job, "batch_size": 4, "texts": texts, "seed": 7, "arena": True, "soak_minutes": 0.001}


def test_a_real_child_measures_what_an_application_would_see(job: dict[str, Any]) -> None:
    answer = run_child({**job, "scenario": "single_stream"})
    assert len(answer["latencies_ns"]) == len(answer["null_ns"]) == 12
    assert min(answer["latencies_ns"]) > 10_000
    assert answer["start_ns"] < answer["import_ns"] < answer["load_ns"] < answer["first_ns"]
    assert answer["cold_start_ns"] > answer["first_ns"] - answer["start_ns"]
    assert 10e6 < answer["import_rss"] <= answer["load_rss"] <= answer["first_rss"] <= answer["end_rss"] < 1e9
    assert answer["processor"] is None or answer["processor"]["own_ns"] > 0
    assert answer["hashed"] is True
    assert answer["hash_ns"] > 0


def test_a_real_child_checks_hashes_as_load_does(job: dict[str, Any], built: Path, tmp_path: Path) -> None:
    altered = shutil.copytree(built, tmp_path / "altered")
    tokenizer = altered / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes()[:-2] + b" }")
    of_it = {**job, "bundle": str(altered), "scenario": "cold_start"}
    with pytest.raises(BundleError, match="altered, its SHA-256 is not the manifest's"):
        run_child(of_it)
    assert run_child({**of_it, "bundle": str(built), "verify": False})["hashed"] is False


def test_a_real_child_answers_arrivals_and_keeps_on_for_a_while(job: dict[str, Any]) -> None:
    settings = {"bound_ms": 10_000.0, "percent": 90.0, "queries": 20, "tolerance": 0.4}
    served = run_child({**job, "scenario": "server", "server": settings})
    assert len(served["latencies_ns"]) == 20
    assert served["target_qps"] == pytest.approx(0.75 * served["capacity_qps"])
    assert served["tried_qps"] == pytest.approx([0.5 * served["capacity_qps"], served["target_qps"]])
    soaked = run_child({**job, "scenario": "soak"})
    assert 0.03e9 < sum(soaked["latencies_ns"]) < 60e9
    before, after = soaked["resident_bytes"]
    assert 10e6 < before < 1e9
    assert 10e6 < after < 1e9


def test_a_real_child_runs_without_an_arena_and_at_a_fixed_length(job: dict[str, Any]) -> None:
    answer = run_child({**job, "scenario": "memory", "arena": False})
    assert answer["first_rss"] <= answer["end_rss"]
    fixed = {**job, "scenario": "offline", "length": 8, "ids": [[5] * 8, [6] * 8]}
    answer = run_child(fixed)
    assert answer["texts"] > 12  # passes over twelve, until half a second is over
    assert answer["total_ns"] >= 0.5e9 > answer["first_pass_ns"]
    assert answer["together"] == {"largest": 4, "mean": 4}


def test_a_real_child_scores_a_file_as_the_manifest_has_it(
    built: Path, data_dir: Path, manifest: dict[str, Any]
) -> None:
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "scenario": "quality", "length": 0}
    job |= {"warmup": 0, "samples": 10, "batch_size": 4, "texts": ["a"]}
    answer = run_child({**job, "data": str(data_dir / "test.tsv"), "metric": "accuracy"})
    assert answer["quality"] == pytest.approx(manifest["metrics"]["test"])
    assert len(answer["table"]) == 64
    assert sum(row[0] for row in answer["table"]) / 64 == pytest.approx(manifest["metrics"]["test"]["value"], abs=1e-6)


def test_a_child_that_fails_gives_one_line(built: Path, tmp_path: Path) -> None:
    job = {"bundle": str(tmp_path / "none"), "runtime": "onnxruntime", "threads": 1, "scenario": "memory", "length": 0}
    job |= {"warmup": 0, "samples": 10, "batch_size": 4, "texts": ["a"]}
    with pytest.raises(BundleError) as caught:
        run_child(job)
    assert str(caught.value).startswith(f"{tmp_path / 'none'}: no manifest.json; ")
    with pytest.raises(RunError) as failed:
        run_child({**job, "bundle": str(built), "scenario": "nothing"})
    assert str(failed.value).startswith(f"{built}: nothing failed: ")
    assert "\n" not in str(caught.value) + str(failed.value)


def test_fixed_lengths_run_on_a_bundle_of_a_small_vocabulary(built: Path, tmp_path: Path) -> None:
    suite = Suite(scenarios=("single_stream",), rounds=2, samples=10, warmup=0, lengths=(16,))
    variants = variants_of([built], find_baseline(built, None), False, suite)
    result = bench(Experiment(variants, None, suite, tmp_path))
    assert [case.samples for case in result.cases] == [20, 20]


@pytest.mark.parametrize(
    ("scenario", "remedy"),
    [("quality", "a shorter --data"), ("answers", "a shorter --data"), ("single_stream", "fewer samples")],
)
def test_a_process_that_takes_too_long_is_told_with_what_makes_it_shorter(scenario: str, remedy: str) -> None:
    assert str(overtime({"bundle": "b", "scenario": scenario})) == f"b: {scenario} took more than 3600 s; give {remedy}"
