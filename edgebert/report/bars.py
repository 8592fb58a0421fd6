"""Horizontal bar charts, on given axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.measure.variants import Role
from edgebert.report.colours import GAIN, INK, MUTED, SERIES, colour_of
from edgebert.report.numbers import short, times
from edgebert.report.plots import SMALL, legend, name_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 0.56


@dataclass(frozen=True)
class Step:
    """A row of the waterfall: the remaining latency, and the gain over the row before."""

    variant: str
    role: Role
    p50_ms: float
    faster: float | None


def waterfall(axes: Axes, steps: Sequence[Step]) -> None:
    """Latency after every stage; the pale part is what the stage removed."""
    longest = max(step.p50_ms for step in steps)
    for at, step in enumerate(steps):
        axes.barh(at, step.p50_ms, HEIGHT, color=colour_of(step.role))
        end = step.p50_ms
        if at and steps[at - 1].p50_ms > step.p50_ms:
            end = steps[at - 1].p50_ms
            axes.barh(at, end - step.p50_ms, HEIGHT, left=step.p50_ms, color=GAIN)
            axes.plot([end, end], [at - 1 + HEIGHT / 2, at - HEIGHT / 2], color=MUTED, linewidth=0.9)
        gain = "" if step.faster is None else f"  {times(step.faster)}"
        axes.text(end + 0.015 * longest, at, f"{short(step.p50_ms)} ms{gain}", color=INK, size=SMALL, va="center")
    name_rows(axes, [step.variant for step in steps])
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.set_xlim(0, longest * 1.3)
    axes.set_xlabel("p50 ms")


def stacked(axes: Axes, rows: Sequence[tuple[str, Sequence[float]]], parts: Sequence[str], unit: str) -> None:
    """Rows of parts one after another, with the total at the end and the parts named above."""
    longest = max(sum(values) for _, values in rows)
    for at, (_, values) in enumerate(rows):
        left = 0.0
        for part, value in enumerate(values):
            axes.barh(at, value, HEIGHT, left=left, color=SERIES[part], label=parts[part] if at == 0 else "")
            left += value
        axes.text(left + 0.015 * longest, at, f"{short(left)}", color=INK, size=SMALL, va="center")
    name_rows(axes, [name for name, _ in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, longest * 1.12)
    axes.set_xlabel(unit)
    legend(axes, len(parts))
