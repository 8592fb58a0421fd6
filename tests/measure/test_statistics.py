"""Percentiles and ratios against cases worked out by hand, and intervals that are as wide as they should be."""

import numpy as np
import pytest

from edgebert.measure import statistics
from edgebert.measure.statistics import (
    Ratio,
    Samples,
    drift,
    median_interval,
    median_ratio,
    outliers,
    percentile_intervals_ms,
    percentile_ms,
    spread,
    worst_drift,
)


def rounds(*values: list[float]) -> list[Samples]:
    return [np.array(value, dtype=np.float64) for value in values]


def drawn(seed: int, scale: float = 1.0, drift: tuple[float, ...] = (1, 1, 1, 1, 1)) -> list[Samples]:
    """Five rounds of 200 latencies around `scale` milliseconds, a round's drift its factor."""
    random = np.random.default_rng(seed)
    return [scale * 1e6 * factor * random.lognormal(0, 0.1, 200) for factor in drift]


def width(ratio: Ratio) -> float:
    return ratio.ci_high - ratio.ci_low


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        (rounds([1e6, 2e6, 3e6]), 50, 2.0),
        (rounds([3e6], [1e6], [2e6]), 50, 2.0),
        (rounds([4e6, 1e6], [3e6, 2e6]), 50, 2.5),
        (rounds([1e6, 2e6, 3e6, 4e6, 5e6]), 90, 4.6),
        (rounds(list(np.arange(0, 101) * 1e6)), 99, 99.0),
        (rounds([7e6], [9e6]), 0, 7.0),
        (rounds([7e6], [9e6]), 100, 9.0),
    ],
)
def test_percentiles_are_of_all_rounds_together(samples: list[Samples], percent: float, expected: float) -> None:
    assert percentile_ms(samples, percent) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("baseline", "candidate", "value"),
    [
        (rounds([4.0, 4.0], [4.0]), rounds([2.0], [2.0, 2.0]), 2.0),
        (rounds([1.0, 9.0, 5.0], [5.0]), rounds([10.0], [10.0]), 0.5),
        (rounds([2.0, 4.0], [6.0, 8.0]), rounds([1.0, 2.0], [2.0, 3.0]), 2.5),
    ],
)
def test_the_ratio_is_baseline_over_candidate_of_medians(
    baseline: list[Samples], candidate: list[Samples], value: float
) -> None:
    ratio = median_ratio("p50", baseline, candidate)
    assert ratio.what == "p50"
    assert ratio.value == pytest.approx(value, rel=1e-12)
    assert ratio.ci_low <= ratio.value <= ratio.ci_high


def test_without_any_spread_the_interval_is_the_ratio() -> None:
    ratio = median_ratio("p50", rounds([3.0, 3.0], [3.0]), rounds([2.0], [2.0]))
    assert (ratio.value, ratio.ci_low, ratio.ci_high) == (1.5, 1.5, 1.5)


@pytest.mark.parametrize("seed", range(5))
def test_two_samples_of_one_distribution_do_not_differ(seed: int) -> None:
    ratio = median_ratio("p50", drawn(seed), drawn(seed + 100))
    assert ratio.ci_low < 1 < ratio.ci_high
    assert width(ratio) < 0.08


@pytest.mark.parametrize("seed", range(5))
def test_twice_as_fast_is_told_from_as_fast(seed: int) -> None:
    ratio = median_ratio("p50", drawn(seed, 2.0), drawn(seed + 100))
    assert 1.8 < ratio.ci_low < 2 < ratio.ci_high < 2.2
    slower = median_ratio("p50", drawn(seed), drawn(seed + 100, 2.0))
    assert 0.45 < slower.ci_low < 0.5 < slower.ci_high < 0.55


def test_a_disturbed_round_of_one_side_widens_the_interval() -> None:
    calm = median_ratio("p50", drawn(1, 2.0), drawn(2))
    disturbed = median_ratio("p50", drawn(1, 2.0), drawn(2, drift=(1, 1.5, 1, 1.3, 1)))
    assert width(disturbed) > 3 * width(calm)


def test_rounds_are_paired_so_a_drift_of_the_whole_machine_widens_it_less() -> None:
    drift = (1.0, 1.4, 0.8, 1.2, 1.0)
    shared = median_ratio("p50", drawn(1, 2.0, drift), drawn(2, 1.0, drift))
    apart = median_ratio("p50", drawn(1, 2.0, drift), drawn(2, 1.0, drift[::-1][1:] + drift[:1]))
    assert width(shared) < width(apart) / 2
    assert shared.ci_low < 2 < shared.ci_high


def test_more_samples_in_a_round_cannot_hide_the_spread_between_rounds() -> None:
    """Resampling predictions alone would give an interval that shrinks with the number of samples."""
    few = [np.full(10, value) for value in (1e6, 1.2e6, 0.9e6, 1.1e6, 1e6)]
    many = [np.full(1000, value) for value in (1e6, 1.2e6, 0.9e6, 1.1e6, 1e6)]
    one = [np.full(10, 1e6)] * 5
    assert width(median_ratio("p50", many, one)) == pytest.approx(width(median_ratio("p50", few, one)), rel=0.05)
    assert width(median_ratio("p50", many, one)) >= 0.1


def test_a_seed_gives_the_same_interval_again_and_another_seed_another() -> None:
    first, second = drawn(1, 2.0), drawn(2)
    assert median_ratio("p50", first, second, 7) == median_ratio("p50", first, second, 7)
    assert median_ratio("p50", first, second, 7).ci_low != median_ratio("p50", first, second, 8).ci_low


def share_covered(truth: tuple[float, ...], between: float, datasets: int = 60) -> list[float]:
    """How often the intervals of p50 and p90 of five rounds of 40 latencies hold the true value."""
    random = np.random.default_rng(11)
    held = np.zeros(2)
    for seed in range(datasets):
        factors = random.lognormal(0, between, 5)
        data = [1e6 * factor * random.lognormal(0, 0.1, 40) for factor in factors]
        intervals = percentile_intervals_ms(data, [50, 90], seed)
        held += [low <= value <= high for (low, high), value in zip(intervals, truth, strict=True)]
    return (held / datasets).tolist()


def test_intervals_of_percentiles_hold_the_true_ones() -> None:
    """Median and ninth decile of a lognormal distribution are 1 and exp(1.2816 * 0.1)."""
    assert min(share_covered((1.0, 1.1367), between=0.0)) >= 0.95


def test_intervals_hold_the_true_median_of_rounds_that_differ() -> None:
    """Five rounds that differ by 20%, twice as much as the latencies inside them, are few: 95% is not to be had."""
    median, _ = share_covered((1.0, 1.0), between=0.2)
    assert median >= 0.8


def test_intervals_of_a_constant_are_that_and_of_rounds_apart_reach_from_one_to_the_other() -> None:
    assert percentile_intervals_ms(rounds([2e6] * 4, [2e6] * 4), [50, 99]) == [(2.0, 2.0), (2.0, 2.0)]
    assert percentile_intervals_ms(rounds([1e6] * 4, [3e6] * 4), [50]) == [(1.0, 3.0)]


def test_intervals_are_the_same_however_many_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = percentile_intervals_ms(drawn(1), [50, 90], 3)
    assert wide == percentile_intervals_ms(drawn(1), [50, 90], 3)
    monkeypatch.setattr(statistics, "DRAWN_AT_ONCE", 10_000)
    for (low, high), (low_again, high_again) in zip(wide, percentile_intervals_ms(drawn(1), [50, 90], 3), strict=True):
        assert (low, high) == (pytest.approx(low_again, rel=0.005), pytest.approx(high_again, rel=0.005))
        assert 0.9 < low < high < 1.25


def test_the_interval_of_a_median_of_processes_is_in_their_unit() -> None:
    low, high = median_interval([10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 90.0])
    assert 10.0 <= low < 12.0
    assert 14.0 <= high <= 90.0
    assert median_interval([0.0, 0.0]) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("latencies", "value"),
    [
        ([1.0, 1.0, 1.0], 1.0),
        ([2.0, 9.0, 1.0], 0.5),
        ([1.0, 2.0, 5.0, 5.0, 3.0, 3.0], 2.0),
        ([1.0, 1.0, 100.0, 7.0, 7.0, 7.0, 2.0, 2.0, 2.0], 2.0),
        ([5.0, 1.0], 1.0),
    ],
)
def test_drift_is_the_last_third_over_the_first(latencies: list[float], value: float) -> None:
    assert drift(np.array(latencies)) == value


def test_the_worst_drift_is_the_furthest_from_none_either_way() -> None:
    up, down, none = rounds([1.0, 1.0, 1.5], [2.0, 1.0, 1.0], [1.0, 1.0, 1.0])
    assert worst_drift([none, up, none]) == 1.5
    assert worst_drift([up, down, none]) == 0.5
    assert worst_drift([none]) == 1.0


def test_a_machine_that_slows_down_is_found_out_and_one_that_does_not_is_not() -> None:
    random = np.random.default_rng(5)
    steady = random.lognormal(0, 0.1, 300)
    assert drift(steady) == pytest.approx(1, abs=0.05)
    assert drift(steady * np.linspace(1, 1.3, 300)) == pytest.approx(1.25 / 1.05, abs=0.06)


def test_spread_is_the_slowest_over_the_fastest() -> None:
    assert spread([2.0, 3.0, 2.5]) == 1.5
    assert spread([2.0]) == 1.0


def test_outliers_are_counted_beyond_three_quartile_distances() -> None:
    """Quartiles of 1 to 5 are 2 and 4, so that the fence stands at 10."""
    count, fence = outliers(rounds([1.0, 2.0, 3.0], [4.0, 5.0]))
    assert (count, fence) == (0, 10.0)
    few = rounds([1.0, 2.0, 3.0, 4.0] * 25, [40.0, 50.0])
    count, fence = outliers(few)
    assert count == 2
    assert 4.0 < fence < 40.0
