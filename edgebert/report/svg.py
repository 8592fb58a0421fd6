"""A plot as an inline SVG element: text stays text, colours are the page's variables, ids are unique."""

from __future__ import annotations

import html
import io
import re
import warnings

import matplotlib
from matplotlib.figure import Figure

from edgebert.report.colours import GRID, INK, MUTED, VARIABLES
from edgebert.report.parts import Plot

WIDTH = 400
PIXELS = 72
STYLE = {
    **{"svg.fonttype": "none", "svg.hashsalt": "edgebert", "text.parse_math": False, "font.family": "DejaVu Sans"},
    **{"font.size": 12.0, "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": GRID},
    **{"xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED},
    **{"xtick.labelsize": 11.0, "ytick.labelsize": 11.5, "axes.labelsize": 11.0, "axes.axisbelow": True},
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.unicode_minus": True},
}
NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))


def svg(plot: Plot, name: str) -> str:
    """Draw a plot.

    Args:
        plot: The plot.
        name: A word of letters and digits that is unique on the page.

    Returns:
        One `<svg>` element for a page that declares the variables of `edgebert.report.colours`.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # matplotlib warns of characters that its font lacks and of extreme axis limits. It still draws the plot, and
        # the user can do nothing about either.
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(WIDTH / PIXELS, plot.height / PIXELS), dpi=PIXELS, layout="constrained")
        axes = figure.subplots()
        figure.patch.set_visible(False)
        axes.patch.set_visible(False)
        plot.draw(axes)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata=NO_METADATA)
    return _inline(written.getvalue(), plot, name)


def _inline(text: str, plot: Plot, name: str) -> str:
    body = text[text.index("<svg") :]
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r" ?font-family: (?:&\w+;|[^;\"])*;?", "", body)
    body = re.sub(r'style="[^"]*"', lambda style: _coloured(style[0]), body)
    used = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", body))
    body = re.sub(r' id="([\w.-]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", body)
    body = re.sub(r"(url\(|href=\")#", rf"\1#{name}-", body)
    body = re.sub(r"\n\s*", "\n", body)
    label = html.escape(plot.alt)
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {plot.height}" role="img" aria-label="{label}">{body.rstrip()}'


def _coloured(style: str) -> str:
    """Replace stand-in colours in a style by the page's variables."""
    for colour, variable in VARIABLES.items():
        style = style.replace(colour, f"var({variable})")
    return style
