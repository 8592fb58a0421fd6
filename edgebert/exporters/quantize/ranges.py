"""The range of an activation, chosen from a histogram of its values on real texts: what lies outside is clipped.

Percentile: the outermost values are cut off at both ends. Entropy: the clipped, quantized distribution that tells least
from the true one (Kullback-Leibler divergence, as TensorRT's and ONNX Runtime's calibrators have it; Migacz, "8-bit
inference with TensorRT", GTC 2017). Mean squared error: least squares between a value and its INT8 one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]

BINS = 16384
PERCENTILE = 99.99
STEPS = 255
CANDIDATES = 128
MERGED = 4
SMALLEST_COUNT = 1e-4


class Histogram:
    """Counts of values in bins of one width, as many on either side of zero; it doubles where a value asks for it.

    Attributes:
        width: Of a bin; 0 as long as every value was 0.
        counts: Values in each bin, the lowest first.
        low: The lowest value, 0 if that is lower.
        high: The highest value, 0 if that is higher.
    """

    def __init__(self) -> None:
        """Start with no values."""
        self.width, self.low, self.high = 0.0, 0.0, 0.0
        self.counts = np.zeros(2 * BINS, dtype=np.int64)

    def add(self, values: NDArray[np.float32]) -> None:
        """Count values, of any shape."""
        flat = np.asarray(values, dtype=np.float64).ravel()
        if not flat.size:
            return
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        self._widen(max(-self.low, self.high))
        at = np.floor(flat / self.width) + BINS if self.width else np.full(flat.size, BINS)
        self.counts += np.bincount(np.clip(at, 0, 2 * BINS - 1).astype(np.int64), minlength=2 * BINS)

    def centres(self) -> NDArray[np.float64]:
        """The middle of every bin."""
        return np.asarray((np.arange(-BINS, BINS) + 0.5) * self.width, dtype=np.float64)

    def _widen(self, largest: float) -> None:
        if self.width == 0.0:
            self.width = largest / BINS
        while largest > self.width * BINS:
            # Bins meet at zero, so that two neighbours make one of twice the width and no count is split.
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros_like(self.counts)
            self.counts[BINS // 2 : BINS // 2 + BINS] = pairs
            self.width *= 2.0


def choose_range(histogram: Histogram, method: str, symmetric: bool) -> Range:
    """The range to quantize, zero in it.

    Args:
        histogram: Values of one activation.
        method: `percentile`, `entropy` or `mse`.
        symmetric: Whether the range is as wide below zero as above it (INT8 without a zero point).

    Returns:
        Its lowest and highest value; both 0 where nothing but zeros was counted.
    """
    low, high = histogram.low, histogram.high
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    if low == high:
        return 0.0, 0.0
    if method == "percentile":
        found = _percentile(histogram, symmetric)
    elif method == "entropy":
        found = _entropy(histogram, symmetric)
    else:
        found = _least_squares(histogram, (low, high), symmetric)
    return max(found[0], low), min(found[1], high)


def _percentile(histogram: Histogram, symmetric: bool) -> Range:
    """Cut off the same share of the values at either end; of their sizes, where the range is symmetric."""
    counts, centres = histogram.counts, histogram.centres()
    outside = (1.0 - PERCENTILE / 100.0) * counts.sum()
    if symmetric:
        sizes = np.cumsum((counts + counts[::-1])[BINS:])
        size = float(centres[BINS + int(np.searchsorted(sizes, sizes[-1] - outside))])
        return -size, size
    rising = np.cumsum(counts)
    low = centres[int(np.searchsorted(rising, outside, side="right"))]
    high = centres[int(np.searchsorted(rising, rising[-1] - outside))]
    return min(float(low), 0.0), max(float(high), 0.0)


def _least_squares(histogram: Histogram, extremes: Range, symmetric: bool) -> Range:
    """Search the size of the range, then either end of it, for outliers may lie on one side alone."""
    filled = np.flatnonzero(histogram.counts)
    centres, counts = histogram.centres()[filled], histogram.counts[filled].astype(np.float64)

    def error(ends: Range) -> float:
        step = (ends[1] - ends[0]) / STEPS
        zero = np.rint(ends[0] / step)
        quantized = np.clip(np.rint(centres / step), zero, zero + STEPS) * step
        return float((np.square(quantized - centres) * counts).sum())

    largest = max(-extremes[0], extremes[1])
    sizes = [largest * at / CANDIDATES for at in range(CANDIDATES, 0, -1)]
    low, high = min(((max(extremes[0], -size), min(extremes[1], size)) for size in sizes), key=error)
    for _ in range(0 if symmetric else 2):
        low, _ = min(((end, high) for end in [low, *(-size for size in sizes if size <= -extremes[0])]), key=error)
        _, high = min(((low, end) for end in [high, *(size for size in sizes if size <= extremes[1])]), key=error)
    return low, high


def _entropy(histogram: Histogram, symmetric: bool) -> Range:
    """The window of values up to a size whose quantized distribution diverges least, in whole bins as in TensorRT."""
    counts, width = histogram.counts.reshape(-1, MERGED).sum(axis=1), histogram.width * MERGED
    if symmetric:
        counts = counts + counts[::-1]
    zero, filled = counts.size // 2, np.flatnonzero(counts)
    first, last = min(int(filled[0]), zero), max(int(filled[-1]) + 1, zero)
    largest = max(zero - first, last - zero)
    sizes = range(largest, min(STEPS // 2, largest - 1), -(largest // CANDIDATES))
    windows = [(max(first, zero - size), min(last, zero + size)) for size in sizes]
    low, high = min(windows, key=lambda window: _divergence(counts, *window))
    return (low - zero) * width, (high - zero) * width


def _divergence(counts: NDArray[np.int64], low: int, high: int) -> float:
    """Kullback-Leibler divergence of clipped counts from the same ones with a value a step, in nats."""
    inside = counts[low:high].astype(np.float64)
    clipped = inside.copy()
    clipped[0] += counts[:low].sum()
    clipped[-1] += counts[high:].sum()
    # A step spreads what it holds evenly over those of its bins that are not empty.
    step = np.arange(high - low) * (STEPS + 1) // max(high - low, STEPS + 1)
    filled = clipped > 0
    held = np.bincount(step, weights=inside, minlength=STEPS + 1)
    among = np.bincount(step, weights=filled, minlength=STEPS + 1)
    spread = np.divide(held, among, out=np.zeros_like(held), where=among > 0)[step][filled]
    true = clipped[filled] / clipped.sum()
    # A bin that is filled by clipping alone would make the divergence infinite.
    model = np.maximum(spread, SMALLEST_COUNT) / np.maximum(spread, SMALLEST_COUNT).sum()
    return float((true * np.log(true / model)).sum())
