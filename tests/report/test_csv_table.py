"""CSV: one row per case, every figure as recorded."""

import csv
import io
from pathlib import Path

import pytest
from result_documents import case, document, full, write

from edgebert.report.csv_table import render
from edgebert.report.run import read_runs


def rows(*paths: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(read_runs(list(paths))))))


def test_every_case_is_a_row_with_its_figures(tmp_path: Path) -> None:
    whole = full()
    found = rows(write(tmp_path / "sst2", whole))
    assert len(found) == len(whole["cases"])
    bundle = found[2]
    assert (bundle["run"], bundle["cpu"], bundle["data"]) == ("sst2", "Some CPU", "dev.tsv")
    assert (bundle["variant"], bundle["p50_ms"], bundle["p50_ci_low"]) == ("bundle", "2.0", "1.8")
    assert (bundle["quality.metric"], bundle["quality.value"]) == ("accuracy", "0.9")
    assert (bundle["faster"], bundle["faster_low"], bundle["faster_high"]) == ("4.0", "3.75", "4.25")
    assert found[0]["faster"] == ""
    assert not any("operators" in key for key in bundle)


def test_runs_with_other_keys_share_one_header(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a", document()), write(tmp_path / "b", document([case("bundle", moon=3)]))]
    assert [row["moon"] for row in rows(*paths)] == ["", "", "3"]


def test_a_name_that_looks_like_a_formula_stays_a_name(tmp_path: Path) -> None:
    (row,) = rows(write(tmp_path, document([case("=1+1", bundle='a,"b"\nc')])))
    assert (row["variant"], row["bundle"]) == ("'=1+1", r'a,"b"\nc')


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("x;=1+1", "x;'=1+1"),
        ("x; @SUM(1);+1", "x; '@SUM(1);'+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        (" =1", " '=1"),
        ("x\n=1", r"x\n=1"),
        ("x\t=1", r"x\t=1"),
        ("a-b = c; d", "a-b = c; d"),
    ],
)
def test_no_part_of_a_name_begins_like_a_formula(name: str, cell: str, tmp_path: Path) -> None:
    """Spreadsheets in some languages separate cells by semicolons, and read full-width signs as ordinary ones."""
    (row,) = rows(write(tmp_path, document([case(name)])))
    assert row["variant"] == cell


def test_a_key_that_looks_like_a_formula_stays_a_key(tmp_path: Path) -> None:
    odd = case("bundle", **{"=1+1": 1, "@x": {"y": 2}, "\t=1": 3, "\n=1": 4})
    header = next(csv.reader(io.StringIO(render(read_runs([write(tmp_path, document([odd]))])))))
    assert [key for key in header if key.startswith("'")] == ["'=1+1", "'@x.y"]
    assert {r"\t=1", r"\n=1"} <= set(header)


def test_control_characters_and_marks_of_direction_are_escaped(tmp_path: Path) -> None:
    odd = case("a\x1b[31m\x9b\u202eb\r", **{"k\u202e": 1})
    text = render(read_runs([write(tmp_path, document([odd]))]))
    assert text.replace("\n", "").isprintable()
    assert r"a\x1b[31m\x9b\u202eb\r" in text


def test_memory_of_an_unknown_kind_is_a_column(tmp_path: Path) -> None:
    for odd in ("abc", {"x": 1}, [1], None):
        (row,) = rows(write(tmp_path, document([case("bundle", memory={"unknown_labels": odd})])))
        assert row["memory.unknown_labels"] == ("" if odd is None else str(odd))
