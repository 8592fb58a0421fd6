"""Markdown: the verdict first, valid tables, unchanged names; needs no package of the extra."""

import subprocess
import sys
from pathlib import Path

from result_documents import case, document, full, quality, write

from edgebert.report import csv_table
from edgebert.report.markdown import render
from edgebert.report.page import make_page
from edgebert.report.run import read_runs


def test_the_verdict_stands_first(tmp_path: Path) -> None:
    lines = render(make_page(read_runs([write(tmp_path / "sst2", document())]))).splitlines()
    assert lines[0] == "# EdgeBERT benchmark report"
    assert lines[2] == "Run: sst2"
    assert lines[4].startswith("**tiny answers 4.00 times faster than its full-precision baseline")
    assert "## Cases" in lines


def test_quality_that_is_undefined_has_neither_figure_nor_difference(tmp_path: Path) -> None:
    nothing = quality(0.0, "entity_f1") | {"lacks": "an entity"}
    cases = [case("fp32", 8.0, quality=quality(0.9, "entity_f1")), case("bundle", 2.0, quality=nothing)]
    lines = render(make_page(read_runs([write(tmp_path / "ner", document(cases))]))).splitlines()
    assert "| bundle | entity f1 | undefined (without an entity) | 1000 |" in lines
    assert not any("entity f1" in line or "points of" in line for line in lines if line.startswith("**"))
    assert "90.00" not in "".join(lines)


def test_labels_that_the_model_does_not_have_are_said_once_beside_quality(tmp_path: Path) -> None:
    unknown = {"unknown_labels": {"rows": 3, "labels": {"a|b": 2, "c": 1}, "more": 0}}
    cases = [case("fp32", 8.0, quality=quality(0.9) | unknown), case("bundle", 2.0, quality=quality(0.8) | unknown)]
    runs = read_runs([write(tmp_path / "odd", document(cases))])
    told = r"3 of 1000 rows have labels that the model does not have: 'a\|b' (2), 'c' (1); they count as wrong."
    assert render(make_page(runs)).splitlines().count(told) == 1
    header, first, *_ = csv_table.render(runs).splitlines()
    assert dict(zip(header.split(","), first.split(","), strict=True))["quality.unknown_labels"] == "3"


def test_every_row_of_a_table_has_every_column(tmp_path: Path) -> None:
    whole = full()
    whole["cases"].append(case("a|b\n| c", 3.0))
    text = render(make_page(read_runs([write(tmp_path, whole)])))
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("| ")]
    assert len(blocks) >= 12
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block}) == 1
        assert set(block[1]) <= set("| :-")
    assert r"a\|b \| c (onnxruntime)" in text


def test_estimates_are_marked(tmp_path: Path) -> None:
    text = render(make_page(read_runs([write(tmp_path, full())])))
    assert "## Estimates (estimated, not measured)" in text


def test_several_runs_stand_side_by_side_first(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, document(null_model={"p50_us": at})) for at, name in enumerate("ab", 1)]
    headings = [line for line in render(make_page(read_runs(paths))).splitlines() if line.startswith("#")]
    assert headings[:4] == ["# EdgeBERT benchmark report", "## Runs side by side", "## a", "### Cases"]


def test_neither_markdown_nor_csv_needs_the_extra(tmp_path: Path) -> None:
    path = write(tmp_path, full())
    code = (
        "import sys; sys.modules.update(matplotlib=None, jinja2=None)\n"
        "from edgebert.cli import main\n"
        f"raise SystemExit(main(['report', {str(path)!r}, '--out', {str(tmp_path / 'r.md')!r}])"
        f" or main(['report', {str(path)!r}, '--out', {str(tmp_path / 'r.csv')!r}]))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "r.md").stat().st_size > 1000
