"""`edgebert.bench`: a bundle measured from Python."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from manifests import rewrite

import edgebert
from edgebert.bundle import stages_folder

SUITE = """
scenarios = ["single_stream"]
runtimes = ["onnxruntime"]
lengths = [8]
threads = 1
warmup = 1
samples = 10
rounds = 3
"""


@pytest.mark.slow
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
        ({"target": "cuda://toaster"}, "cuda://toaster"),
        ({"target": "qemu://toaster"}, "qemu://toaster"),
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


@pytest.mark.parametrize("content", ["x", "[]", "{}", b"\xff", '{"model": {}}'])
def test_a_tokenizer_that_is_none_is_found_before_anything_is_measured(
    content: str | bytes, bundle_copy: Path, built: Path, tmp_path: Path
) -> None:
    (bundle_copy / "tokenizer.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    rewrite(bundle_copy)
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE)
    with pytest.raises(edgebert.BundleError, match=r"tokenizer\.json"):
        edgebert.bench(bundle_copy, suite=suite, baseline=stages_folder(built) / "0-baseline", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"target": None}, "target is NoneType None"),
        ({"estimate": [5]}, r"estimate\[0\] is int 5"),
        ({"bundle": None}, "bundle is NoneType None"),
        ({"bundle": [5]}, "bundle is int 5"),
    ],
)
def test_what_is_of_another_type_is_a_type_error(given: dict[str, Any], says: str, built: Path) -> None:
    with pytest.raises(TypeError, match=says):
        edgebert.bench(**({"bundle": built} | given))


def test_no_bundle_is_said_to_be_none() -> None:
    with pytest.raises(edgebert.InputError, match="no bundle is given; give a folder"):
        edgebert.bench([])
