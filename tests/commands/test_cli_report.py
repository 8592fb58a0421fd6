"""`edgebert report` and `edgebert bench --fail-if`: files, exit codes, one line for each error."""

import json
import os
import sys
from pathlib import Path

import pytest
from command_line import Run, refused
from result_documents import case, document, full, write
from small_bundle import write_small_bundle

RECORDED = Path(__file__).parents[2] / "bench" / "results" / "2026-11-23-sst2"


def test_a_recorded_result_gives_a_page(tmp_path: Path, run: Run) -> None:
    code, out, err = run("report", RECORDED, "--out", tmp_path / "deep" / "report.html")
    assert (code, out, err) == (0, "", f"report: {tmp_path / 'deep' / 'report.html'}\n")
    page = (tmp_path / "deep" / "report.html").read_text()
    ratios = json.loads((RECORDED / "result.json").read_text())["ratios"]
    faster = next(ratio["value"] for ratio in ratios if ratio["what"] == "p50, natural lengths: fp32 / bundle")
    assert f"sst2 answers {faster:.2f} times faster than its full-precision baseline (95% interval" in page
    assert "Latency distribution" in page
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["report.html"]


def test_the_suffix_decides_the_format(tmp_path: Path, run: Run) -> None:
    path = write(tmp_path / "run", full())
    for name, begins in (("r.html", "<!doctype html>"), ("r.md", "# EdgeBERT"), ("r.csv", "run,cpu,")):
        assert run("report", path, "--out", tmp_path / name)[0] == 0
        assert (tmp_path / name).read_text().startswith(begins)


def test_a_report_takes_the_place_of_an_earlier_one(tmp_path: Path, run: Run) -> None:
    path, out = write(tmp_path / "run", full()), tmp_path / "r.html"
    out.write_text("yesterday's")
    assert run("report", path, "--out", out)[0] == 0
    assert out.read_text().startswith("<!doctype html>")


def test_a_dash_is_markdown_on_stdout(tmp_path: Path, run: Run) -> None:
    code, out, err = run("report", write(tmp_path, document()), "--out", "-")
    assert (code, err) == (0, "")
    assert out.startswith("# EdgeBERT benchmark report\n")


def test_as_json_it_tells_the_verdicts_and_where_the_report_is(tmp_path: Path, run: Run) -> None:
    whole = document(verdict={"disturbed": False, "reasons": []})
    code, out, _ = run("report", write(tmp_path / "a", whole), "--out", tmp_path / "r.md", "--json")
    told = json.loads(out)
    assert (code, told["out"]) == (0, str(tmp_path / "r.md"))
    assert [(each["run"], each["disturbed"]) for each in told["runs"]] == [("a", False)]
    assert told["runs"][0]["verdicts"][0].startswith("tiny answers 4.00 times faster")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ('{"rounds": []}', "not a result of `edgebert bench`"),
        ('{"format": "edgebert-result", "format_version": 9}', "format version 9, this EdgeBERT reads version 1"),
    ],
)
def test_what_is_not_a_result_ends_with_2_and_writes_nothing(content: str, said: str, tmp_path: Path, run: Run) -> None:
    good = write(tmp_path / "good", document())
    (tmp_path / "bad.json").write_text(content)
    code, out, err = run("report", good, tmp_path / "bad.json", "--out", tmp_path / "r.html")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"edgebert: {tmp_path / 'bad.json'}: ")
    assert said in err
    assert not (tmp_path / "r.html").exists()


def test_a_place_or_a_name_that_cannot_be_is_told(tmp_path: Path, run: Run) -> None:
    path = write(tmp_path, document())
    code, _, err = run("report", path, "--out", tmp_path / "r.pdf")
    assert (code, err.count("\n")) == (2, 1)
    assert "r.pdf: not a file ending in .html, .md, .csv; give such a name, or - for Markdown" in err
    code, _, err = run("report", path, "--out", path / "r.html")
    assert (code, err.count("\n")) == (2, 1)
    assert "cannot be written" in err
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.html")
        told = refused(run("report", path, "--out", tmp_path / "pipe.html"))
        assert told.endswith("a device, pipe or socket, not a file; give another name, or - for Markdown")
    code, _, err = run("report", path, "--out", "-", "--json")
    assert (code, err.count("\n")) == (2, 1)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "edgebert.report.html", raising=False)
    code, out, err = run("report", write(tmp_path, document()), "--out", tmp_path / "r.html")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "jinja2" in err
    assert "pip install edgebert[report]" in err


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("p50>>1", "not a check"),
        ("speed>1", "unknown metric 'speed'"),
        ("p50>2x:none.json", "none.json: no such file"),
        ("p50>-1", "the limit is -1, and no p50 is below 0"),
        ("size<-0.5", "no size is below 0"),
    ],
)
def test_an_unsound_check_ends_a_bench_before_it_begins(check: str, said: str, tmp_path: Path, run: Run) -> None:
    code, out, err = run("bench", tmp_path / "no-bundle", "--fail-if", check)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


@pytest.mark.slow
def test_a_failed_check_ends_a_bench_with_1_and_is_kept(built: Path, tmp_path: Path, run: Run) -> None:
    suite = tmp_path / "s.toml"
    suite.write_text('scenarios = ["single_stream"]\nrounds = 2\nsamples = 10\nwarmup = 0\nlengths = [8]\n')
    earlier = write(tmp_path / "earlier", document([case("bundle", 1e-6, lengths="8")]))
    checks = ["p50<1000000", f"p50>2x:{earlier}", "size>1000"]
    given = [argument for check in checks for argument in ("--fail-if", check)]
    code, out, err = run("bench", built, "--suite", suite, "--out", tmp_path / "out", *given)
    assert code == 1
    assert "8 tokens: fp32 / bundle" in out
    kept = json.loads((tmp_path / "out" / "result.json").read_text())["gates"]
    assert [(row["gate"], row["failed"]) for row in kept] == list(zip(checks, [True, True, False], strict=True))
    assert kept[1]["previous"] == 1e-6
    told = [line for line in err.splitlines() if line.startswith(("warning", "fail-if"))]
    assert f"warning: {earlier}: another machine (cpu 'Some CPU', here " in told[0]
    assert told[2].startswith("fail-if p50<1000000: FAILED: bundle, single_stream, 8 tokens, onnxruntime: ")
    assert told[4].startswith("fail-if size>1000: passed: ")


def test_one_run_given_twice_is_no_second_measurement(tmp_path: Path, run: Run) -> None:
    path, other = write(tmp_path / "a", full()), write(tmp_path / "b", full())
    for again in (path, path.parent, other):
        told = refused(run("report", path, again, "--out", tmp_path / "r.md"))
        again = again / "result.json" if again.is_dir() else again
        assert told == f"{again}: the same run as {path}; give it once"
    assert not (tmp_path / "r.md").exists()


def test_a_report_is_not_written_into_a_bundle(tmp_path: Path, run: Run) -> None:
    bundle, path = write_small_bundle(tmp_path / "b"), write(tmp_path / "a", full())
    for place in (bundle / "r.md", bundle / "deep" / "r.html"):
        told = refused(run("report", path, "--out", place))
        assert told == f"{place}: is or is inside the bundle {bundle}, which must not change; give another --out"
    assert not (bundle / "r.md").exists()
    assert not (bundle / "deep").exists()


def test_a_report_whose_name_is_too_long(tmp_path: Path, run: Run) -> None:
    told = refused(run("report", write(tmp_path / "a", full()), "--out", tmp_path / ("n" * 300 + ".md")))
    assert told.endswith(".md: cannot be written (File name too long); give another --out")
