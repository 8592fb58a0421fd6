"""Recorded ratios are recomputed from raw samples; results without samples are skipped."""

import json
from pathlib import Path

import pytest
from result_documents import MS, case, document, ratio, write

from bench.intervals import main


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A result of three rounds with the ratios 2, 4 and 8; the recorded ratio is 4 with a narrow interval."""
    cases = [case(name, 1.0, raw=f"raw/{name}.json") for name in ("fp32", "bundle")]
    path = write(tmp_path / "run", document(cases, ratios=[ratio("p50, natural lengths: fp32 / bundle", 4, 3.9, 4.1)]))
    for name, medians in (("fp32", (2, 4, 8)), ("bundle", (1, 1, 1))):
        answers = [{"latencies_ns": [median * MS] * 3} for median in medians]
        (path.parent / "raw" / f"{name}.json").write_text(json.dumps({"rounds": answers}))
    return path.parent


def test_a_ratio_is_computed_again_from_the_rounds_of_both(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (recorded / "result.json").read_bytes()
    monkeypatch.setattr("sys.argv", ["intervals", str(recorded)])
    assert main() == 0
    # scipy.stats.t.interval(0.95, 2, log(4), log(2) / sqrt(3)) is log(0.715) to log(22.38).
    row = "| run | p50, natural lengths: fp32 / bundle | 3 | 4.00 (3.90 to 4.10) | 4.00 (0.71 to 22.38) |"
    assert capsys.readouterr().out.splitlines()[2:] == [row]
    assert (recorded / "result.json").read_bytes() == before


def test_a_result_without_samples_is_named_and_left_out(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (recorded / "raw" / "fp32.json").unlink()
    monkeypatch.setattr("sys.argv", ["intervals", str(recorded)])
    assert main() == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 2
    assert captured.err == f"{recorded}: no ratio with raw samples; left out\n"
