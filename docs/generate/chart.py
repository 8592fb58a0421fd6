"""The chart of `guides/choosing-compression.md`: what each stage gave in four recorded runs, as inline SVG.

Colours are those of the site's theme, so that one drawing serves light and dark. It is drawn 400 wide, for phones.
"""

from __future__ import annotations

from html import escape

from docs.generate.recorded import Run, once, recomputed, runs

SHOWN = {
    "2026-11-23-sst2": "SST-2, one label, Zen 4",
    "2026-11-23-snips": "Snips, intents and slots, Zen 4",
    "2026-11-26-stsb": "STS-B, embeddings, Xeon with AMX",
    "2026-11-26-wnut17-pruned": "WNUT-17, entities, Xeon with AMX",
}
STAGES = {
    "fp32": "FP32",
    "1-graph": "+ graph",
    "2-distill": "+ distill",
    "3-prune": "+ prune",
    "bundle": "+ INT8",
}
WIDTH, ROW, LEFT, SCALE = 400, 20, 72, 20.0
INK, FAINT = "var(--md-default-fg-color)", "var(--md-default-fg-color--light)"
BAR, GREY = "var(--md-typeset-a-color)", "var(--md-default-fg-color--lighter)"


def chart() -> str:
    """The figure as one block of HTML."""
    parts, top, found = [], 0, {run.name: run for run in runs()}
    for name in SHOWN:
        parts.append(panel(found[name], top))
        top += ROW * (len(stages(found[name])) + 1) + 14
    label = (
        "Bars of how many times faster each stage of four exports is than full precision; the figures stand beside them"
    )
    return (
        f'<div><svg viewBox="0 0 {WIDTH} {top}" role="img" aria-label="{label}" '
        f'style="width:100%;max-width:500px" font-family="inherit" font-size="12">{"".join(parts)}</svg></div>\n'
    )


def stages(run: Run) -> list[tuple[str, float, float]]:
    """Every stage of a run: its name, times faster than FP32, and the share of FP32's quality that it keeps."""
    cases = {case["variant"]: case for case in once(run.cases("single_stream"))}
    full = cases["fp32"]["quality"]["value"]
    return [
        (name, faster(run.name, variant), cases[variant]["quality"]["value"] / full)
        for variant, name in STAGES.items()
        if variant in cases
    ]


def faster(run: str, variant: str) -> float:
    """Times faster at natural lengths, as bench/results/intervals.md has it."""
    if variant == "fp32":
        return 1.0
    return float(recomputed()[run, f"p50, natural lengths: fp32 / {variant}"].split()[0])


def panel(run: Run, top: int) -> str:
    """The bars of one run below its title."""
    lines = [text(0, top + 14, SHOWN[run.name], INK, weight="bold")]
    for at, (name, times, kept) in enumerate(stages(run), 1):
        y, width = top + at * ROW, times * SCALE
        lines.append(text(LEFT - 8, y + 14, name, FAINT, anchor="end"))
        fill = GREY if at == 1 else BAR
        bar = f'<rect x="{LEFT}" y="{y + 4}" width="{width:.1f}" height="13" rx="2" style="fill:{fill}"/>'
        lines.append(bar)
        figures = "1" if at == 1 else f"{times:.2f} times, {kept:.1%} kept"
        lines.append(text(LEFT + width + 6, y + 14, figures, INK))
    return "".join(lines)


def text(x: float, y: float, words: str, fill: str, *, anchor: str = "start", weight: str = "normal") -> str:
    """A piece of text."""
    return (
        f'<text x="{x:.1f}" y="{y}" style="fill:{fill}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )
