"""Answers of measured processes become a case, for each scenario."""

from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from fake_clock import Clock

from edgebert.measure.results import Case
from edgebert.measure.scenarios import cold_start, memory, offline, single_stream, soak
from edgebert.measure.suite import Scenario, Suite, read_suite

MS = 1_000_000
SUITES = Path(__file__).parents[3] / "bench" / "suites"
MARKS = {"start_ns": 0, "import_ns": 30 * MS, "load_ns": 50 * MS, "first_ns": 55 * MS, "cold_start_ns": 60 * MS}
PEAKS = {"import_rss": 20e6, "load_rss": 50e6, "first_rss": 52e6, "end_rss": 60e6}


def case(scenario: str) -> Case:
    return Case("b", "h", "bundle", "local", "onnxruntime", scenario, 1, "natural", 1)


def answers(*latencies_ms: list[float], **more: Any) -> list[dict[str, Any]]:
    return [{**MARKS, **PEAKS, **more, "latencies_ns": [int(ms * MS) for ms in each]} for each in latencies_ms]


@pytest.mark.parametrize("name", get_args(Scenario))
def test_every_scenario_of_a_suite_has_its_file(name: str) -> None:
    scenario = import_module(f"edgebert.measure.scenarios.{name}")
    assert callable(scenario.work)
    assert callable(scenario.fill)
    assert hasattr(scenario, "COMPARED") == hasattr(scenario, "compared")


def test_the_shipped_suites_are_sound_and_the_standard_one_is_the_default() -> None:
    suites = {path.stem: read_suite(path) for path in SUITES.glob("*.toml")}
    assert {name: suite.name for name, suite in suites.items()} == {name: name for name in suites}
    assert suites["standard"] == Suite()
    assert suites["full"].scenarios == get_args(Scenario)
    assert suites["lengths"].scenarios == ("single_stream",)
    assert suites["demo"] == Suite(name="demo", rounds=3, warmup=20, samples=200)


def test_single_stream_reports_outliers_drift_and_spread_and_drops_nothing() -> None:
    filled = case("single_stream")
    steady, slowing = [1.0] * 9, [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 3.0, 3.0, 3.0]
    single_stream.fill(filled, answers(steady, slowing, [*steady[:8], 50.0]))
    assert filled.samples == 27
    assert filled.outliers == {"count": 1, "limit_ms": 5.0}
    assert (filled.drift, filled.spread) == (1.5, 2.0)
    assert filled.mean_ms == pytest.approx((9 + 21 + 58) / 27, abs=1e-4)
    assert filled.p50_ci is not None
    assert filled.p50_ci[0] <= filled.p50_ms <= filled.p50_ci[1]
    assert filled.power is None


def test_energy_is_the_median_of_the_processes_that_could_read_it() -> None:
    filled = case("single_stream")
    rows = answers([1.0] * 3, [1.0] * 3, [1.0] * 3, [1.0] * 3)
    for row, joules in zip(rows, (0.02, None, 0.05, 0.03), strict=True):
        row["power"] = None if joules is None else {"joules_per_inference": joules, "source": "RAPL package-0"}
    single_stream.fill(filled, rows)
    assert filled.power == {"joules_per_inference": 0.03, "source": "RAPL package-0"}


def test_offline_is_the_mean_rate_with_its_interval() -> None:
    filled = case("offline")
    offline.fill(filled, [{"texts": 60, "total_ns": 1000 * MS * at} for at in (1, 2, 3)])
    # The geometric mean of 60, 30 and 20 is the third root of 36,000; its interval on two degrees of freedom is wide.
    assert (filled.samples, filled.throughput) == (180, 33.02)
    assert filled.throughput_ci == [8.31, 131.26]
    assert filled.spread == 3.0
    assert offline.compared({"texts": 60, "total_ns": 300}).tolist() == [5.0]


@pytest.mark.parametrize(
    ("pass_ms", "texts", "total_ms"),
    [
        ([900, 200], 30, 600),  # the first pass meets what the next ones know
        ([700, 700], 10, 700),
        ([12_000, 12_000], 10, 12_000),  # too long to do twice
    ],
)
def test_offline_counts_no_warm_up_unless_it_is_long(
    monkeypatch: pytest.MonkeyPatch, pass_ms: list[int], texts: int, total_ms: int
) -> None:
    clock = Clock()
    monkeypatch.setattr(offline.time, "perf_counter_ns", clock)
    passes = iter([pass_ms[0]] + [pass_ms[1]] * 9)

    def model(given: list[str], batch_size: int) -> None:
        assert batch_size == 4
        if len(given) == 10:
            clock.now_ns += next(passes) * MS

    monkeypatch.setattr(offline, "_together", lambda *given: {"largest": 4, "mean": 2.5})
    job = {"batch_size": 4, "length": 0, "texts": [f"text {at}" for at in range(10)]}
    found = offline.work(model, job, print)
    assert found.pop("together") == {"largest": 4, "mean": 2.5}
    assert found == {"texts": texts, "total_ns": total_ms * MS, "first_pass_ns": pass_ms[0] * MS}


def test_cold_start_is_the_mean_with_its_interval_and_its_parts() -> None:
    filled = case("cold_start")
    rows = [{**MARKS, "cold_start_ns": at * MS, "hashed": True, "hash_ns": 7 * MS} for at in (60, 62, 61, 90, 60)]
    cold_start.fill(filled, rows)
    assert (filled.cold_start_ms, filled.samples) == (65.71, 5)
    assert filled.cold_start_ci == [52.79, 81.8]
    assert (filled.hashed, filled.hash_ms) == (True, 7.0)
    assert (filled.import_ms, filled.load_ms, filled.first_ms) == (30.0, 20.0, 5.0)
    assert cold_start.compared(rows[3]).tolist() == [90 * MS]


def test_memory_is_split_at_the_marks() -> None:
    filled = case("memory")
    memory.fill(filled, [{**PEAKS, "end_rss": peak} for peak in (60e6, 64e6, 61e6)])
    assert filled.memory == {"import_mb": 20.0, "load_mb": 50.0, "first_mb": 52.0, "steady_mb": 61.6}
    assert (filled.peak_rss_mb, filled.samples) == (61.6, 3)
    assert memory.compared({"end_rss": 5e6}).tolist() == [5e6]


def test_memory_that_a_system_does_not_tell_is_left_out() -> None:
    filled = case("memory")
    memory.fill(filled, [{**dict.fromkeys(memory.MARKS.values()), "end_rss": None}, {**PEAKS, "end_rss": 60e6}])
    assert (filled.memory, filled.peak_rss_mb, filled.samples) == (None, None, 2)
    assert np.isnan(memory.compared({"end_rss": None})).all()  # bench compares no such figure
    soaked = case("soak")
    soak.fill(soaked, [answers([1.0, 2.0] * 300)[0] | {"resident_bytes": None, "end_rss": None}])
    assert (soaked.resident, soaked.peak_rss_mb) == (None, None)


RESIDENT = {"resident_bytes": [52_500_000, 59_123_456]}


def test_soak_tells_that_a_machine_slows_down() -> None:
    filled = case("soak")
    slowing = np.linspace(1.0, 2.0, 3000)
    soak.fill(filled, [answer | RESIDENT for answer in answers(slowing.tolist())])
    assert filled.samples == 3000
    assert filled.drift == pytest.approx(11 / 7, abs=2e-3)
    assert (filled.p50_ms, filled.peak_rss_mb) == (pytest.approx(1.5, abs=1e-3), 60.0)
    assert filled.resident == {"start_mb": 52.5, "end_mb": 59.1}
    assert filled.p50_ci is None
    steady = case("soak")
    soak.fill(steady, [answer | RESIDENT for answer in answers([1.0, 2.0] * 300)])
    assert steady.drift == 1.0
