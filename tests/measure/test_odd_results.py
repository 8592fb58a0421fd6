"""Results from untrusted sources: reports and checks accept them, or one line says what is wrong."""

import contextlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from result_documents import document, full, write

from edgebert.cli import main
from edgebert.errors import InputError
from edgebert.measure.gate import describe, judge, read_gate
from edgebert.report import csv_table, markdown
from edgebert.report.page import make_page
from edgebert.report.run import read_runs

ODD = [None, True, -1, 10**300, 10**400, -1e308, "", "x\n\x1b[2J", "\ud800", [], [[None]], {"": {}}]


def changed(value: Any, odd: Any, path: tuple[Any, ...] = ()) -> Iterator[Any]:
    """The document with each of its values replaced, one at a time."""
    items = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    for key, inner in items:
        for other in [odd, *changed(inner, odd)]:
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = other
            yield copy


def test_any_value_of_a_result_may_be_of_any_kind(tmp_path: Path) -> None:
    whole = full()
    peaks = [{"precision": "fp32", "rows": 256, "gmacs": 58.4}]
    whole["environment"] |= {"versions": {"numpy": "2.4.0"}, "gemm": {"threads": 1, "peaks": peaks}}
    path = write(tmp_path / "run", whole)
    every = [other for odd in ODD for other in changed(whole, odd)]
    for other in [
        *random.Random(0).sample(every, 250),
        {**whole, "environment": {**whole["environment"], "flags": True}},
        {**whole, "verdict": {"disturbed": True, "reasons": 0.5}},
    ]:
        path.write_text(json.dumps(other))
        with contextlib.suppress(InputError):
            runs = read_runs([path])
            text = markdown.render(make_page(runs))
            assert text.replace("\n", "").isprintable()
            csv_table.render(runs)
        with contextlib.suppress(InputError):
            assert all(describe(row) for row in judge([read_gate(f"p50>1.1x:{path}")], whole))


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        ('"\\ud800"', "the lone surrogate '\\ud800' is not valid Unicode"),
        ("9" * 5000, "has 5000 digits"),
        ("9" * 309, "is too large"),
        ("-1e999", "the number -1e999 is too large"),
        ("NaN", "NaN is not a JSON number"),
        ("[" * 5000 + "]" * 5000, "nested more than 64 deep"),
    ],
)
def test_a_report_and_a_check_of_a_result_that_cannot_be_computed_with_end_in_one_line(
    value: str, fact: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document()).replace('"p50_ms": 2.0', f'"p50_ms": {value}'))
    commands = (["report", str(path), "--out", str(tmp_path / "r.md")], ["bench", "x", "--fail-if", f"p50>1.1x:{path}"])
    for command in commands:
        assert main(command) == 2
        err = capsys.readouterr().err
        assert err.startswith(f"edgebert: {path}: not valid JSON (")
        assert fact in err
        assert err[:-1].isprintable()
    assert [left.name for left in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("value", [1e300, -1e300, 10**19])
def test_a_figure_that_no_bench_gives_is_named(
    value: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**full(), "waterfall": [{"stage": "x", "faster": value}]}))
    assert main(["report", str(path), "--out", str(tmp_path / "r.html")]) == 2
    assert capsys.readouterr().err == (
        f"edgebert: {path}: damaged, 'waterfall.0.faster' is {value:.3g}, larger than any real measurement; "
        "copy it again or bench again\n"
    )


@pytest.mark.parametrize("raw", ["\0", "loop", "loop/raw.json", "x" * 5000])
def test_raw_samples_at_a_path_that_cannot_be_read_are_left_out(
    raw: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    whole = document()
    for case in whole["cases"]:
        case["raw"] = raw
    (tmp_path / "result.json").write_text(json.dumps(whole))
    assert main(["report", str(tmp_path), "--out", "-"]) == 0
    assert capsys.readouterr().err == ""


def test_a_pipe_in_the_place_of_a_result_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import os

    os.mkfifo(tmp_path / "result.json")
    assert main(["report", str(tmp_path / "result.json"), "--out", "-"]) == 2
    assert "cannot be read (not a regular file)" in capsys.readouterr().err
