"""Plot colours: each stands for a CSS variable of the page, so one drawing serves light and dark mode."""

from __future__ import annotations

from edgebert.measure.variants import Role

INK, MUTED, GRID, SURFACE = "#0a0101", "#0a0102", "#0a0103", "#0a0104"
BASELINE, STAGE, BUNDLE, GAIN = "#0a0105", "#0a0106", "#0a0107", "#0a0108"
SERIES = ("#0a0111", "#0a0112", "#0a0113", "#0a0114", "#0a0115", "#0a0116")
VARIABLES = {
    **{INK: "--ink", MUTED: "--muted", GRID: "--grid", SURFACE: "--surface"},
    **{BASELINE: "--baseline", STAGE: "--stage", BUNDLE: "--bundle", GAIN: "--gain"},
    **{colour: f"--series-{at}" for at, colour in enumerate(SERIES, 1)},
}


def colour_of(role: Role) -> str:
    """Colour of a role: baseline, stage or bundle."""
    return {"baseline": BASELINE, "stage": STAGE, "bundle": BUNDLE}[role]
