"""The table of runtimes: names equal rows, `load` opens every runtime, `doctor` lists the usable ones."""

import json
import typing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from manifests import rewrite
from small_bundle import write_small_bundle

import edgebert
from edgebert.cli import main
from edgebert.errors import BundleError
from edgebert.runtimes import FORMATS, ONNXRUNTIME, RUNTIMES, FormatName, RuntimeName, weights_beside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with a graph for ONNX Runtime and one for an unknown runtime."""
    folder = write_small_bundle(tmp_path / "small")
    rewrite(folder, runtime={"default": "onnxruntime", "graphs": {"onnxruntime": "model.onnx", "toy": "model.onnx"}})
    return folder


def test_every_name_has_a_row() -> None:
    assert list(RUNTIMES) == list(typing.get_args(RuntimeName))
    assert list(FORMATS) == list(typing.get_args(FormatName))


def test_files_beside_a_graph_go_by_its_ending() -> None:
    assert weights_beside(["model.onnx", "openvino/model.xml", "core.bin"]) == ["openvino/model.bin"]


def test_a_new_row_is_opened_and_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def toy(opening: Any) -> Any:
        asked.append((opening.graph, opening.threads, opening.length_buckets))
        return ONNXRUNTIME.open(opening)

    monkeypatch.setitem(RUNTIMES, "toy", replace(ONNXRUNTIME, open=toy))
    with edgebert.load(folder, runtime="toy", threads=1) as model:
        assert model.runtime == "toy"
        assert model("a b").label == edgebert.load(folder)("a b").label
    assert asked == [(folder / "model.onnx", 1, [8])]


def test_a_runtime_of_a_later_edgebert_is_refused_and_the_bundle_opens_by_its_default(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"has no runtime 'toy' \(it has onnxruntime, openvino, core\); update it"):
        edgebert.load(folder, runtime="toy")
    assert edgebert.load(folder).runtime == "onnxruntime"


def test_doctor_says_which_runtimes_are_usable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = replace(ONNXRUNTIME, packages=("no-such-package",), install="edgebert[toy]")
    monkeypatch.setitem(RUNTIMES, "openvino", absent)
    assert main(["doctor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runtimes"]
    assert [row["runtime"] for row in rows] == ["onnxruntime", "onnxruntime", "core"]
    rows = rows[:2]
    assert [(row["usable"], row["version"] is None) for row in rows] == [(True, False), (False, True)]
    assert main(["doctor"]) == 0
    assert "no, pip install edgebert[toy]" in capsys.readouterr().out
