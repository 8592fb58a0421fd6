"""Results that are larger than any bench writes: one line of error, after the time to read them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from result_documents import case, document, ratio, write

from edgebert.cli import main
from edgebert.errors import RunError
from edgebert.measure.read import MAX_BYTES, MAX_KEYS, MAX_LENGTHS, MAX_ROWS, MAX_VARIANTS
from edgebert.measure.results import Result
from edgebert.report.page import make_page
from edgebert.report.run import read_runs

MANY = {
    "rows": (document([case("a")] * (MAX_ROWS + 1)), "'cases' has 10,001 rows; at most 10,000 are read"),
    "ratios": (document(ratios=[ratio("a / b", 1, 1, 1)] * (MAX_ROWS + 1)), "'ratios' has 10,001 rows"),
    "variants": (
        document([case(f"v{at}") for at in range(MAX_VARIANTS + 1)]),
        "the result has 251 variants; at most 250 are read",
    ),
    "stages": (
        document(waterfall=[{"variant": str(at), "p50_ms": 1} for at in range(MAX_VARIANTS + 1)]),
        "the result has 251 variants",
    ),
    "lengths": (
        document([case("a", lengths=str(at)) for at in range(1, MAX_LENGTHS + 2)]),
        "the result has 1,001 lengths; at most 1,000 are read",
    ),
    "keys": (
        document([case("a", roofline={str(at): 1 for at in range(MAX_KEYS)})]),
        "keys; at most 500 are read",
    ),
    "estimates": (
        document(estimates=[{str(at): 1} for at in range(MAX_KEYS + 1)]),
        "the table of estimates has 501 keys; at most 500 are read",
    ),
    "bytes": (document(command="x" * MAX_BYTES), "larger than 16 MB"),
}


@pytest.mark.parametrize("what", MANY)
def test_more_than_any_bench_writes_is_refused(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, fact = MANY[what]
    path = write(tmp_path / "run", whole)
    for command in (["report", str(path), "--out", "-"], ["bench", "x", "--fail-if", f"p50>1.1x:{path}"]):
        assert main(command) == 2
        out, err = capsys.readouterr()
        assert not out
        assert err.startswith(f"edgebert: {path}: ")
        assert fact in err
        assert err.count("\n") == 1


def test_as_much_as_is_read_makes_a_report(tmp_path: Path) -> None:
    """Every case is looked up among the ratios once: with a search for each this takes an hour."""
    cases = [case(f"v{at % 100}", lengths=str(at // 100 + 1)) for at in range(5_000)]
    ratios = [ratio(f"p50, {at // 100 + 1} tokens: v0 / v{at % 100}", 1.5, 1.2, 1.8) for at in range(5_000)]
    (chapter,) = make_page(read_runs([write(tmp_path, document(cases, ratios=ratios))])).chapters
    (table,) = next(section for section in chapter.sections if section.title == "Cases").tables
    faster = table.header.index("faster")
    assert {row[faster].text for row in table.rows} == {"1.50×"}


@pytest.mark.parametrize("title", [": " * 50_000, "a / " + ": " * 50_000, ": a" * 50_000])
@pytest.mark.parametrize("where", ["ratios", "pairs", "differences"])
def test_a_long_title_takes_no_longer_than_its_reading(where: str, title: str, tmp_path: Path) -> None:
    rows: list[Any] = [ratio(title, 1.5, 1.2, 1.8) if where == "ratios" else {"what": title}]
    assert make_page(read_runs([write(tmp_path, document(**{where: rows}))])).chapters


def test_the_peaks_of_many_precisions_make_no_wide_table(tmp_path: Path) -> None:
    peaks = [{"precision": f"p{at}", "rows": at, "gmacs": 1.0} for at in range(2_000)]
    whole = document(environment={"gemm": {"peaks": peaks, "threads": 1}})
    (chapter,) = make_page(read_runs([write(tmp_path, whole)])).chapters
    (table,) = next(section for section in chapter.sections if section.title == "Compute").tables
    assert len(table.header) < 20


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_one_file_of_raw_samples_is_of_one_case(link: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = document([case("a", 2.0, raw="raw/a.json"), case("b", 2.0, raw="raw/b.json")])
    path = write(tmp_path, whole)
    assert main(["report", str(path), "--out", "-"]) == 0
    (tmp_path / "raw" / "b.json").unlink()
    link(tmp_path / "raw" / "a.json", tmp_path / "raw" / "b.json")
    capsys.readouterr()
    assert main(["report", str(path), "--out", "-"]) == 2
    err = capsys.readouterr().err
    assert "raw samples of two cases (a, single_stream; b, single_stream)" in err
    assert err.count("\n") == 1


def test_raw_samples_of_more_rounds_than_a_suite_has_are_not_drawn(tmp_path: Path) -> None:
    path = write(tmp_path, document([case("a", 2.0, raw="raw/a.json")]), rounds=1_001)
    (chapter,) = make_page(read_runs([path])).chapters
    assert "Latency" not in [section.title for section in chapter.sections]


def test_a_result_that_is_too_large_to_be_read_again_is_not_written(tmp_path: Path) -> None:
    result = Result("edgebert bench", {}, None, {"cpu": "x"})
    path = result.write(tmp_path)
    before = path.read_bytes()
    result.environment = {"cpu": "x" * MAX_BYTES}
    with pytest.raises(RunError, match="not written, it has 17 MB, but at most 16 MB can be read again"):
        result.write(tmp_path)
    assert path.read_bytes() == before
    assert json.loads(before)["command"] == "edgebert bench"
