"""Ranges of activations, for distributions with known results."""

import numpy as np
import pytest

from edgebert.exporters.quantize.ranges import Histogram, choose_range

METHODS = ["percentile", "entropy", "mse"]


def histogram_of(*batches: np.ndarray) -> Histogram:
    histogram = Histogram()
    for batch in batches:
        histogram.add(batch.astype(np.float32))
    return histogram


def gaussian(count: int = 200_000) -> np.ndarray:
    return np.random.default_rng(0).normal(size=count)


def rounded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    step = (high - low) / 255
    zero = np.rint(low / step)
    return np.clip(np.rint(values / step), zero, zero + 255) * step


def error(values: np.ndarray, low: float, high: float) -> float:
    return float(np.square(rounded(values, low, high) - values).mean())


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_one_outlier_does_not_set_the_range(method: str, symmetric: bool) -> None:
    # One value in four million: it is so rare that least squares clips it too, for smaller steps.
    low, high = choose_range(histogram_of(*[gaussian()] * 20, np.array([60.0])), method, symmetric)
    assert 2.5 < high < 8.0
    assert -6.0 < low < -2.5 or symmetric
    assert low == -high or not symmetric


@pytest.mark.parametrize("method", METHODS)
def test_the_bulk_of_a_gaussian_stays(method: str) -> None:
    values = gaussian()
    low, high = choose_range(histogram_of(values), method, symmetric=False)
    assert values.min() <= low < -2.5
    assert 2.5 < high <= values.max()


def test_the_percentile_is_that_of_numpy_at_both_ends() -> None:
    values = gaussian()
    low, high = choose_range(histogram_of(values), "percentile", symmetric=False)
    assert (low, high) == pytest.approx(np.percentile(values, [0.01, 99.99]), abs=2e-2)
    _, size = choose_range(histogram_of(values), "percentile", symmetric=True)
    assert size == pytest.approx(np.percentile(np.abs(values), 99.99), abs=2e-2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_side_without_values_takes_none_of_the_range(method: str, sign: int) -> None:
    values = sign * np.random.default_rng(1).exponential(size=100_000)
    low, high = choose_range(histogram_of(values), method, symmetric=False)
    near, far = (low, high) if sign > 0 else (-high, -low)
    assert near == 0.0
    assert 3.0 < far <= np.abs(values).max()


def test_least_squares_clips_the_side_that_has_the_outlier() -> None:
    values = np.concatenate([np.random.default_rng(2).uniform(-10, 1, 2_000_000), [40.0]])
    low, high = choose_range(histogram_of(values), "mse", symmetric=False)
    assert -10.1 < low < -9.5
    assert high < 5


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("outlier", [5.0, 12.0, 60.0])
def test_least_squares_has_the_least_squares_of_all_methods(outlier: float, symmetric: bool) -> None:
    values = np.concatenate([gaussian(50_000), [outlier]])
    found = {method: choose_range(histogram_of(values), method, symmetric) for method in METHODS}
    found["extremes"] = (-outlier if symmetric else values.min(), outlier)
    errors = {name: error(values, *ends) for name, ends in found.items()}
    assert errors["mse"] <= min(errors.values()) * 1.02


@pytest.mark.parametrize("method", METHODS)
def test_a_uniform_distribution_loses_next_to_nothing(method: str) -> None:
    values = np.random.default_rng(3).uniform(-1, 1, 100_000)
    low, high = choose_range(histogram_of(values), method, symmetric=False)
    assert low == pytest.approx(-1.0, abs=0.02)
    assert high == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_an_activation_that_is_always_zero_has_no_range(method: str, symmetric: bool) -> None:
    assert choose_range(histogram_of(np.zeros(7)), method, symmetric) == (0.0, 0.0)
    assert choose_range(Histogram(), method, symmetric) == (0.0, 0.0)


def test_the_histogram_grows_without_losing_a_value() -> None:
    histogram = histogram_of(np.zeros(3), gaussian(1000), 50 * gaussian(1000), np.array([]))
    assert histogram.counts.sum() == 2003
    assert (histogram.low, histogram.high) == (
        pytest.approx(50 * gaussian(1000).min()),
        pytest.approx(50 * gaussian(1000).max()),
    )
    # As if all had been seen at once, and each value within half a bin of its bin's middle.
    direct = np.histogram(np.concatenate([np.zeros(3), gaussian(1000), 50 * gaussian(1000)]), [-1e9, 0, 1e9])[0]
    assert histogram.counts[: histogram.counts.size // 2].sum() == direct[0]
    assert histogram.width <= 2 * max(-histogram.low, histogram.high) / (histogram.counts.size // 2)
