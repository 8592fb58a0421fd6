"""Plots of latency and quality, on given axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebert.measure.variants import Role
from edgebert.report.colours import BASELINE, BUNDLE, GRID, INK, MUTED, SERIES, SURFACE, colour_of
from edgebert.report.numbers import shortened, times

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMALL = 11.0
BINS = 48


@dataclass(frozen=True)
class Span:
    """A value with its interval, for one named row."""

    name: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Samples:
    """Figures of one variant, in milliseconds."""

    variant: str
    role: Role
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A variant's latency and quality; intervals are None where the result has none."""

    variant: str
    role: Role
    p50_ms: float
    quality: float
    interval: tuple[float, float] | None = None


def spans(axes: Axes, rows: Sequence[Span]) -> None:
    """Ratios with their intervals, one row each, with a line at no difference."""
    for at, row in enumerate(rows):
        axes.plot([row.low, row.high], [at, at], color=BUNDLE, linewidth=2.5, solid_capstyle="round")
        axes.plot([row.value], [at], "o", color=BUNDLE, markersize=7, markeredgecolor=SURFACE, markeredgewidth=1.2)
        axes.annotate(
            times(row.value), (row.high, at), (9, 0), textcoords="offset points", color=INK, va="center", size=SMALL
        )
    axes.axvline(1, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    name_rows(axes, [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 1.2 * max(1.0, *(row.high for row in rows)))
    axes.set_xlabel("times faster than the baseline")


def distribution(axes: Axes, samples: Sequence[Samples]) -> None:
    """Latencies of every variant as one ridge each, on a shared logarithmic axis, with p50, p90 and p99."""
    everything = np.concatenate([each.values for each in samples])
    edges = np.geomspace(everything.min() * 0.98, everything.max() * 1.02, BINS + 1)
    for at, each in enumerate(samples):
        counts, _ = np.histogram(each.values, edges)
        heights = 0.66 * counts / counts.max()
        axes.stairs(at - heights, edges, baseline=at, fill=True, color=colour_of(each.role), alpha=0.85, linewidth=0)
        for percent, size in ((50, 0.26), (90, 0.2), (99, 0.14)):
            place = float(np.percentile(each.values, percent))
            axes.plot([place, place], [at + 0.03, at + 0.03 + size], color=INK, linewidth=1.6)
    name_rows(axes, [each.variant for each in samples])
    axes.set_ylim(len(samples) - 0.6, -0.8)
    log_milliseconds(axes, float(edges[0]), float(edges[-1]))


def rounds(axes: Axes, medians: Sequence[Samples]) -> None:
    """Median of every round divided by the median of all, one line per variant."""
    named: set[str] = set()
    for each in medians:
        places, relative = np.arange(1, len(each.values) + 1), each.values / np.median(each.values)
        name = "" if each.role in named else each.role
        axes.plot(places, relative, "o-", color=colour_of(each.role), label=name, markersize=5, linewidth=1.5)
        named.add(each.role)
    legend(axes, len(named))
    axes.axhline(1, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    low, high = axes.get_ylim()
    reach = max(0.1, 1 - low, high - 1)
    axes.set_ylim(1 - reach, 1 + reach)
    axes.set_xticks(np.arange(1, max(len(each.values) for each in medians) + 1))
    axes.set_xlabel("round (a fresh process of every variant)")
    axes.set_ylabel("p50 over its median")
    axes.grid(axis="y", color=GRID, linewidth=0.8)


def frontier(axes: Axes, points: Sequence[Point], metric: str) -> None:
    """Quality over latency; a line joins the points on the Pareto front."""
    for point in points:
        colour = colour_of(point.role)
        if point.interval:
            axes.plot([point.p50_ms] * 2, point.interval, color=colour, linewidth=1.4, alpha=0.55)
        axes.plot([point.p50_ms], [point.quality], "o", color=colour, markersize=8, markeredgecolor=SURFACE)
    best = undominated(points)
    axes.plot([p.p50_ms for p in best], [p.quality for p in best], color=BUNDLE, linewidth=1.2, zorder=1)
    low, high = min(point.p50_ms for point in points), max(point.p50_ms for point in points)
    log_milliseconds(axes, low / 1.35, high * 1.35)
    axes.set_ylim(*axes.get_ylim())
    axes.set_ylabel(metric)
    axes.grid(axis="y", color=GRID, linewidth=0.8)
    _label(axes, points)


def undominated(points: Sequence[Point]) -> list[Point]:
    """Points on the Pareto front, from fast to slow: no other is faster without lower quality."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.p50_ms, -point.quality)):
        if not best or point.quality > best[-1].quality:
            best.append(point)
    return best


def lengths(axes: Axes, series: Sequence[tuple[str, Sequence[tuple[int, float]]]], baseline: str) -> None:
    """Median latency over input length, one line per variant, named at its end; the baseline has its own colour."""
    remaining = iter(SERIES)
    colours = [BASELINE if name == baseline else next(remaining) for name, _ in series]
    for (_, line), colour, marker in zip(series, colours, "os^Dvp", strict=False):
        places, values = zip(*line, strict=True)
        axes.plot(places, values, color=colour, marker=marker, markersize=5, linewidth=1.8)
    longest = max(place for _, line in series for place, _ in line)
    highest = max(value for _, line in series for _, value in line)
    heights = _apart([line[-1][1] for _, line in series], 0.075 * highest)
    for at, (name, line) in enumerate(series):
        place = (line[-1][0] + 0.03 * longest, heights[at])
        axes.text(*place, shortened(name, 18), color=colours[at], size=SMALL, va="center", clip_on=False)
    axes.set_xlim(0, longest * 1.42)
    axes.set_ylim(0, highest * 1.08)
    axes.set_xticks(sorted({place for _, line in series for place, _ in line}))
    axes.set_xlabel("tokens")
    axes.set_ylabel("p50 ms")
    axes.grid(axis="y", color=GRID, linewidth=0.8)


def legend(axes: Axes, columns: int) -> None:
    """A legend in one row above the axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        frameon=False,
        fontsize=SMALL,
        handlelength=1,
        handleheight=1,
        handletextpad=0.4,
        columnspacing=1,
        borderaxespad=0.2,
        labelcolor=INK,
    )


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Put names at the left of rows."""
    axes.set_yticks(range(len(names)), [shortened(name) for name in names], color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=GRID, linewidth=0.8)


def log_milliseconds(axes: Axes, low: float, high: float) -> None:
    """Make a logarithmic axis of milliseconds with plain numbers."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks = _ticks(low, high)
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("milliseconds (logarithmic)")


def _ticks(low: float, high: float) -> list[float]:
    """Choose at least three ticks with few digits: 1, 2 and 5 if they are enough."""
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        places = [step * 10.0**power for power in range(-4, 7) for step in steps]
        ticks = [place for place in places if low <= place <= high]
        if len(ticks) > 2:
            return ticks
    return [float(place) for place in np.linspace(low, high, 4)]


def _apart(values: Sequence[float], gap: float) -> list[float]:
    """Move values up just enough that no two are closer than a gap."""
    places = list(values)
    last = -np.inf
    for at in sorted(range(len(values)), key=lambda at: values[at]):
        places[at] = max(values[at], last + gap)
        last = places[at]
    return places


def _label(axes: Axes, points: Sequence[Point]) -> None:
    """Put names beside points, each at the first of eight positions where it covers no other name or point."""
    around = [(7, 8), (7, -15), (-7, 8), (-7, -15), (9, -3), (-9, -3), (0, 14), (0, -20)]
    to_pixels = axes.transData.transform
    taken = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in (to_pixels((p.p50_ms, p.quality)) for p in points)]
    for point in points:
        name = shortened(point.variant, 18)
        x, y = to_pixels((point.p50_ms, point.quality))
        boxes = [_box(x + dx, y + dy, name, dx) for dx, dy in around]
        at = next((at for at, box in enumerate(boxes) if not any(_overlap(box, other) for other in taken)), 0)
        taken.append(boxes[at])
        dx, dy = around[at]
        side = "left" if dx > 0 else "right" if dx < 0 else "center"
        axes.annotate(
            name, (point.p50_ms, point.quality), (dx, dy), textcoords="offset points", ha=side, color=INK, size=SMALL
        )


def _box(x: float, y: float, text: str, dx: float) -> tuple[float, float, float, float]:
    width = 6.8 * len(text)
    left = x if dx > 0 else x - width if dx < 0 else x - width / 2
    return left, y - 3, left + width, y + 11


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
