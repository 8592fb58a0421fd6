"""Random arrivals: a queue computed by hand, and the highest rate compared with another simulation."""

from typing import Any

import numpy as np
import pytest
from fake_clock import Clock

from edgebert.measure.results import Case
from edgebert.measure.scenarios.server import (
    arrivals_ns,
    compared,
    fill,
    highest,
    poisson_gaps,
    search,
    serve,
    under_bound,
)

MS = 1_000_000


def test_a_latency_counts_from_the_arrival_and_holds_the_wait() -> None:
    clock = Clock()
    latencies, elapsed = serve(clock.work(10 * MS), [0, 5 * MS, 30 * MS, 31 * MS], clock, clock.sleep)
    assert latencies == [10 * MS, 15 * MS, 10 * MS, 19 * MS]
    assert elapsed == 50 * MS


def test_nothing_is_answered_before_it_has_arrived() -> None:
    clock = Clock()
    assert serve(clock.work(1 * MS), [100 * MS], clock, clock.sleep) == ([1 * MS], 101 * MS)


def test_arrivals_are_the_gaps_added_up_at_the_rate() -> None:
    assert arrivals_ns(np.array([1.0, 0.5, 2.5]), 2.0) == [500 * MS, 750 * MS, 2000 * MS]


def test_gaps_are_exponential() -> None:
    """Their spread is their mean, which is one, and a share of 1/e is longer."""
    gaps = np.diff([0, *arrivals_ns(poisson_gaps(7, 20_000), 1000.0)]) / MS
    assert gaps.std() == pytest.approx(1, abs=0.03)
    assert (gaps > 1).mean() == pytest.approx(np.exp(-1), abs=0.01)


@pytest.mark.parametrize("limit", [0.0, 0.013, 0.25, 0.6, 0.999, 1.0])
def test_bisection_ends_within_the_tolerance_below_the_limit(limit: float) -> None:
    asked: list[float] = []
    found = highest(lambda share: (asked.append(share), share <= limit)[1], 0.02)
    assert found <= limit <= found + 0.02
    assert len(asked) == 6


def lindley_ms(service_ms: float, gaps: Any, qps: float) -> Any:
    """Latencies of one worker by Lindley's recursion (1952): wait = max(0, wait before + service - gap)."""
    waits = [0.0]
    for gap in gaps[1:] / qps * 1e3:
        waits.append(max(0.0, waits[-1] + service_ms - gap))
    return np.array(waits) + service_ms


@pytest.mark.parametrize(("bound_ms", "seed"), [(2.5, 7), (4.0, 7), (4.0, 8), (8.0, 9)])
def test_the_rate_found_stays_under_the_bound_and_a_little_more_does_not(bound_ms: float, seed: int) -> None:
    clock = Clock()
    settings = {"bound_ms": bound_ms, "percent": 90.0, "queries": 500, "tolerance": 0.01}
    found = search(clock.work(1 * MS), settings, seed, clock, clock.sleep)
    assert found["capacity_qps"] == pytest.approx(1000)
    gaps = poisson_gaps(seed, 500)
    rate = found["target_qps"]
    assert 200 < rate < 990
    assert np.percentile(lindley_ms(1.0, gaps, rate), 90) < bound_ms
    assert np.percentile(lindley_ms(1.0, gaps, rate + 10), 90) >= bound_ms
    np.testing.assert_allclose(np.array(found["latencies_ns"]) / MS, lindley_ms(1.0, gaps, rate), atol=1e-4)
    assert found["achieved_qps"] == pytest.approx(rate, rel=0.02)
    assert len(found["tried_qps"]) == 7


def test_a_bound_that_one_answer_alone_breaks_gives_no_rate_and_tries_none() -> None:
    clock = Clock()
    settings = {"bound_ms": 1.0, "percent": 99.0, "queries": 20, "tolerance": 0.02}
    found = search(clock.work(1 * MS), settings, 7, clock, clock.sleep)
    assert (found["target_qps"], found["achieved_qps"], found["tried_qps"]) == (0.0, 0.0, [])
    assert compared(found).tolist() == [np.inf]
    assert clock.now_ns == 20 * MS


def test_a_bound_that_is_never_reached_gives_all_that_the_worker_does() -> None:
    clock = Clock()
    settings = {"bound_ms": 1e6, "percent": 99.0, "queries": 50, "tolerance": 0.02}
    found = search(clock.work(1 * MS), settings, 7, clock, clock.sleep)
    assert 980 <= found["target_qps"] < 1000


def test_the_percentile_of_the_settings_is_held_against_the_bound() -> None:
    latencies = [1 * MS] * 90 + [9 * MS] * 10
    assert under_bound(latencies, {"percent": 80.0, "bound_ms": 1.1})
    assert not under_bound(latencies, {"percent": 99.0, "bound_ms": 1.1})
    assert not under_bound([1 * MS] * 3, {"percent": 50.0, "bound_ms": 1.0})


def case() -> Case:
    return Case("b", "h", "bundle", "local", "onnxruntime", "server", 1, "natural", 1)


def test_a_case_holds_the_mean_rate_and_the_latencies_at_it() -> None:
    settings = {"bound_ms": 5.0, "percent": 99.0, "queries": 3, "tolerance": 0.02}
    answers = [
        {
            "settings": settings,
            "capacity_qps": 500.0,
            "target_qps": rate,
            "achieved_qps": rate - 1,
            "latencies_ns": [2 * MS, 2 * MS, 2 * MS],
        }
        for rate in (400.0, 300.0, 410.0)
    ]
    filled = case()
    fill(filled, answers)
    assert (filled.samples, filled.p50_ms, filled.p99_ms, filled.p99_ci) == (9, 2.0, 2.0, [2.0, 2.0])
    assert filled.server == {
        **{"target_qps": 366.43, "target_qps_ci": [238.03, 564.08], "bound_ms": 5.0, "percent": 99.0},
        **{"achieved_qps": 399.0, "tolerance_qps": 10.0},
    }
    assert compared(answers[0]).tolist() == [2.5 * MS]
