"""Percentiles and ratios against cases worked out by hand, and intervals that are as wide as they should be."""

import numpy as np
import pytest

from edgebert.measure.statistics import Ratio, Samples, median_ratio, percentile_ms


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
