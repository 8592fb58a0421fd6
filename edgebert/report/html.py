"""A report as one HTML file without network access or scripts."""

from __future__ import annotations

from importlib import resources
from itertools import count

import jinja2
from markupsafe import Markup

from edgebert import __version__
from edgebert.escape import escaped
from edgebert.report.page import Page
from edgebert.report.parts import Plot
from edgebert.report.svg import svg


def render(page: Page) -> str:
    """The whole file as text; everything from a result is escaped."""
    numbers = count(1)

    def draw(plot: Plot) -> Markup:
        return Markup(svg(plot, f"plot{next(numbers)}"))

    folder = resources.files("edgebert.report")
    css = (folder / "page.css").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((folder / "page.html").read_text(encoding="utf-8"))
    text: str = template.render(page=page, css=Markup(css), draw=draw, version=__version__)
    # Escape everything: names occur in tables, in plots and in texts for screen readers.
    return "\n".join(escaped(line, keep="\t") for line in text.split("\n"))
