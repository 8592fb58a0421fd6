"""`edgebert report`: write an HTML page, Markdown or a CSV table from results."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edgebert.bundle import check_outside, check_writable, disk_errors
from edgebert.commands.output import note, write, write_json
from edgebert.errors import InputError, MissingDependencyError
from edgebert.report import csv_table, markdown
from edgebert.report.page import Chapter, Page, make_page
from edgebert.report.run import Run, read_runs
from edgebert.whole_file import write_whole

FORMATS = (".html", ".md", ".csv")


def run(arguments: argparse.Namespace) -> int:
    """Read every result, then write the report completely or not at all."""
    out = None if arguments.out == "-" else Path(arguments.out)
    if out and (out.suffix not in FORMATS or os.path.isdir(out)):
        raise InputError(f"--out {out}: not a file ending in {', '.join(FORMATS)}; give such a name, or - for Markdown")
    if out and os.path.exists(out) and not (out.is_symlink() or out.is_file()):
        raise InputError(f"--out {out}: a device, pipe or socket, not a file; give another name, or - for Markdown")
    if arguments.json and not out:
        raise InputError("--json and --out -: both would go to stdout; give --out a file")
    if out:
        check_outside(out)
    runs = read_runs([Path(path) for path in arguments.result])
    page = make_page(runs)
    if not out:
        write(markdown.render(page).rstrip("\n"))
        return 0
    check_writable(out)
    _write(out, _render(out.suffix, runs, page))
    note(f"report: {out}")
    if arguments.json:
        write_json({"out": str(out), "runs": [_summary(chapter) for chapter in page.chapters]})
    return 0


def _render(suffix: str, runs: list[Run], page: Page) -> str:
    if suffix == ".csv":
        return csv_table.render(runs)
    return _html(page) if suffix == ".html" else markdown.render(page)


def _html(page: Page) -> str:
    try:
        from edgebert.report.html import render
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"the HTML report needs {error.name}, which is not installed; pip install edgebert[report], "
            "or give --out a name ending in .md or .csv"
        ) from None
    return render(page)


def _summary(chapter: Chapter) -> dict[str, object]:
    return {
        "run": chapter.label,
        "verdicts": [verdict.sentence for verdict in chapter.verdicts],
        "disturbed": chapter.steadiness.disturbed,
    }


def _write(path: Path, text: str) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text, newline="")
