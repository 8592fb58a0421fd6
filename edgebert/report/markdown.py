"""A report as Markdown: the same verdicts and tables, without plots."""

from __future__ import annotations

import re
from collections.abc import Iterator

from edgebert.escape import escaped
from edgebert.report.page import Chapter, Page
from edgebert.report.parts import Cell, Section, Table


def render(page: Page) -> str:
    """The whole report as text that ends with a newline."""
    return "\n".join(_lines(page)).rstrip() + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield "# EdgeBERT benchmark report\n"
    for chapter in page.chapters:
        yield from _summary(chapter)
    if page.compared:
        yield from _section(page.compared, 2)
    for chapter in page.chapters:
        if page.compared:
            yield f"## {_escaped(chapter.label)}\n"
        for section in chapter.sections:
            yield from _section(section, 3 if page.compared else 2)


def _summary(chapter: Chapter) -> Iterator[str]:
    yield f"Run: {_escaped(chapter.label)}\n"
    for verdict in chapter.verdicts:
        yield f"**{_escaped(verdict.sentence)}**\n"
        yield f"{_escaped(verdict.conditions)}.\n"
    if chapter.remark:
        yield f"**{_escaped(chapter.remark)}**\n"
    yield f"{_escaped(chapter.steadiness.text)}\n"


def _section(section: Section, level: int) -> Iterator[str]:
    if not (section.tables or section.commands):
        return
    title = f"{section.title} (estimated, not measured)" if section.estimated else section.title
    yield f"{'#' * level} {title}\n"
    if section.about:
        yield f"{_escaped(section.about)}\n"
    for command in section.commands:
        yield f"```\n{escaped(command).replace('```', '` ` `')}\n```\n"
    for table in section.tables:
        yield f"{_escaped(table.caption)}:\n"
        yield from _table(table)
        yield ""


def _table(table: Table) -> Iterator[str]:
    yield _row([_escaped(name) for name in table.header])
    yield _row([":---" if at in table.wording else "---:" for at in range(len(table.header))])
    for row in table.rows:
        yield _row([_cell(cell) for cell in row])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    return _escaped(f"{cell.text} ({cell.under})" if cell.under else cell.text)


def _escaped(text: str) -> str:
    """Escape text so that Markdown shows it unchanged, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", escaped(" ".join(text.split())))
