"""`edgebert.bench`: a bundle measured from Python."""

import json
import logging
from pathlib import Path

import pytest

import edgebert

SUITE = """
scenarios = ["single_stream"]
runtimes = ["onnxruntime"]
lengths = [8]
threads = 1
warmup = 1
samples = 10
rounds = 3
"""


def test_a_bundle_is_measured_beside_its_baseline_and_the_result_is_what_is_written(
    built: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE)
    with caplog.at_level(logging.INFO, "edgebert"):
        result = edgebert.bench(built, suite=suite, out=tmp_path / "out")
    assert [(case.variant, case.lengths, case.samples) for case in result.cases] == [
        ("fp32", "8", 30),
        ("bundle", "8", 30),
    ]
    assert all(case.p50_ms and case.p50_ms > 0 for case in result.cases)
    assert len(result.ratios) == 1
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written == json.loads(json.dumps(result.as_dict()))
    assert written["command"] == "edgebert.bench"
    assert any(message.startswith("[1/") for message in caplog.messages)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"target": "toaster"}, "unknown target 'toaster'"),
        ({"estimate": ["toaster"]}, "unknown profile 'toaster'"),
        ({"baseline": "nowhere"}, "nowhere: no such folder"),
        ({"suite": "nowhere.toml"}, "nowhere.toml"),
    ],
)
def test_what_cannot_be_used_is_an_input_error_before_anything_is_measured(
    wrong: dict[str, str], says: str, built: Path, data_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(edgebert.InputError, match=says):
        edgebert.bench(built, data=data_dir / "test.tsv", out=tmp_path / "out", **wrong)
    assert not (tmp_path / "out" / "result.json").exists()


def test_no_bundle_is_said_to_be_none() -> None:
    with pytest.raises(edgebert.InputError, match="no bundle is given; give a folder"):
        edgebert.bench([])
