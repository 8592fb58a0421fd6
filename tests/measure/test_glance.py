"""The short measurement after an export: alternating fresh processes, a ratio with its interval, no energy."""

from pathlib import Path
from typing import Any

import pytest
from small_bundle import write_small_bundle

import edgebert
from edgebert.measure import glance
from edgebert.measure.glance import ROUNDS
from edgebert.measure.job import Job
from edgebert.measure.scenarios import single_stream


def test_both_are_timed_in_turn_and_the_ratio_is_of_the_rounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full, ours = write_small_bundle(tmp_path / "full"), write_small_bundle(tmp_path / "ours", name="ours")
    jobs: list[Job] = []

    def child(job: Job) -> dict[str, Any]:
        jobs.append(job)
        return {"latencies_ns": [(8_000_000 if job["bundle"] == str(full) else 2_000_000)] * job["samples"]}

    monkeypatch.setattr("edgebert.measure.glance.run_child", child)
    found = glance.glance(ours, full, ["a"] * 100)
    names = [job["bundle"] for job in jobs]
    assert [set(names[at : at + 2]) for at in range(0, 2 * ROUNDS, 2)] == [{str(full), str(ours)}] * ROUNDS
    assert (found.ratio.value, found.ratio.ci_low, found.ratio.ci_high) == pytest.approx((4, 4, 4))
    assert (found.baseline_ms, found.bundle_ms) == pytest.approx((8, 2))
    # Parts that would take seconds in each process are omitted.
    assert not any(job["energy"] for job in jobs)
    assert all(len(job["texts"]) == job["samples"] for job in jobs)


def test_processes_of_their_own_are_timed(tmp_path: Path) -> None:
    found = glance.glance(write_small_bundle(tmp_path / "b"), write_small_bundle(tmp_path / "full"), ["a b", "a"])
    assert found.ratio.rounds == ROUNDS
    assert 0 < found.bundle_ms < 1000


def test_energy_is_left_out_if_it_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    power = {"joules_per_inference": 1.0, "source": "a sensor"}
    monkeypatch.setattr("edgebert.measure.scenarios.single_stream.energy_of", lambda call, gpu: power)
    model = edgebert.load(write_small_bundle(tmp_path / "b"))
    job: Job = {"length": 0, "warmup": 0, "samples": 3, "texts": ["a"]}
    assert single_stream.work(model, job, lambda at: model("a"))["power"] == power
    assert single_stream.work(model, {**job, "energy": False}, lambda at: model("a"))["power"] is None
