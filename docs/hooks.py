"""Pages of the site that are made from the code and from files outside docs/ (mkdocs calls these functions)."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]  # the pages describe this checkout, wherever edgebert is installed from

from docs.generate import keys, recorded  # noqa: E402
from docs.generate.chart import chart  # noqa: E402
from docs.generate.pages import decisions, findings, models, tokenizers  # noqa: E402
from docs.generate.settings import command_line, comments, heads, settings_page  # noqa: E402
from edgebert.measure.suite import Suite  # noqa: E402
from edgebert.recipe import Recipe  # noqa: E402
from edgebert.target import Target  # noqa: E402

EXPORT = ROOT / "export"
# Files outside docs/, and the place of each in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "bench/results/README.md": "results/recorded.md",
    "bench/results/intervals.md": "results/ratios.md",
}
# Pages that are made, and how.
MADE: dict[str, Callable[[], str]] = {
    "findings.md": findings,
    "decisions/index.md": decisions,
    "reference/command-line.md": command_line,
    "reference/recipe.md": lambda: (
        settings_page("Recipe", Recipe, comments(EXPORT, "text-classification.toml") | keys.RECIPE) + heads(EXPORT)
    ),
    "reference/profile.md": lambda: settings_page("Hardware profile", Target, keys.PROFILE),
    "reference/suite.md": lambda: settings_page("Benchmark suite", Suite, comments(ROOT / "bench/suites") | keys.SUITE),
}
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
MARKER = re.compile(r"^<!-- made: (.+?) -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not files of docs/."""
    pages = {place: (ROOT / path).read_text(encoding="utf-8") for path, place in OUTSIDE.items()}
    pages |= {place: make() for place, make in MADE.items()}
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put tables in the place of markers, and let links between files of the repository point to pages of the site."""
    del config, files
    place = page.file.src_uri
    markdown = MARKER.sub(lambda marker: made(marker[1]), markdown)
    return LINK.sub(lambda link: f"]({linked(link[1], place)}", markdown)


def made(marker: str) -> str:
    """What a marker of a page stands for: `chart`, `models`, `tokenizers`, or tables of recorded results."""
    made = {"chart": chart, "models": models, "tokenizers": tokenizers}
    return made.get(marker, lambda: recorded.made(marker))()


def linked(link: str, place: str) -> str:
    """A link of a page, relative to the page's place in the site.

    Raises:
        SystemExit: The link points to no file, or to one that has no page.
    """
    source = next((outside for outside, inside in OUTSIDE.items() if inside == place), f"docs/{place}")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    target = OUTSIDE.get(file, file.removeprefix("docs/"))
    if file == "findings/README.md":
        return posixpath.relpath("findings.md", posixpath.dirname(place) or ".")
    if target not in MADE and not (ROOT / file).is_file():
        raise SystemExit(f"{source}: the link to {link} leads to no file of the repository")
    if file not in OUTSIDE and not file.startswith("docs/"):
        raise SystemExit(f"{source}: the link to {link} has no page in the site; add it to OUTSIDE in docs/hooks.py")
    return posixpath.relpath(target, posixpath.dirname(place) or ".")
