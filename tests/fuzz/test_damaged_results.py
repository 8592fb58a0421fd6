"""Damaged results are refused in one line, or a report can be made."""

import json
from pathlib import Path
from typing import Any

import pytest
from fuzz.damage import damaged_bytes, damaged_json
from fuzz.tally import LONG, TALLY, assert_line, examples
from hypothesis import given
from hypothesis import strategies as st
from result_documents import full

from edgebert.errors import InputError
from edgebert.report import csv_table, markdown
from edgebert.report.page import make_page
from edgebert.report.run import read_runs

ROOT = Path(__file__).parent.parent.parent


def recorded(name: str) -> Any:
    return json.loads((ROOT / "bench" / "results" / name / "result.json").read_text())


@pytest.mark.parametrize("which", ["by hand", "2026-11-26-movie-reviews", "2026-11-26-stsb-pairs"])
def test_damaged_results(which: str, scratch: Path) -> None:
    document = full() if which == "by hand" else recorded(which)
    path = scratch / "result.json"

    @examples(brief=25, long=500)
    @given(st.one_of(*[damaged_json(document)] * 3, damaged_bytes(json.dumps(document).encode())))
    def is_refused_or_reported(damaged: bytes) -> None:
        path.write_bytes(damaged)
        try:
            runs = read_runs([path])
            page = make_page(runs)
            shown = [markdown.render(page), csv_table.render(runs), *([html(page)] if LONG else [])]
            TALLY.add("damaged results", "reported")
        except InputError as error:
            assert_line(error, str(path))
            TALLY.add("damaged results", "refused")
            return
        for text in shown:
            text.encode()

    is_refused_or_reported()


def html(page: Any) -> str:
    from edgebert.report.html import render

    return render(page)
