"""Forms measured on this machine: each is reported, and the fastest with good enough answers is exported."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import RECIPE

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.cpu import INT8_NAMES, this_cpu
from edgebert.errors import SettingsError
from edgebert.exporters.candidates import Candidate, Form, Tried, best, candidates
from edgebert.precision import quantization
from edgebert.recipe import read_recipe
from edgebert.runtimes import Int8Form, saturates
from edgebert.target import read_target

pytestmark = pytest.mark.int8


def row(form: Form, p50_ms: float, quality: float | None = None, error: float = 0.0, **more: Any) -> Tried:
    return Tried(Candidate(form, **more), p50_ms, error, quality)


def test_the_fastest_is_chosen() -> None:
    rows = [row("dynamic", 2.0, 0.9), row("static", 1.5, 0.9), row("none", 4.0, 0.9)]
    assert best(rows, 0.005) == Candidate("static", "int8", False, "onnxruntime")


def test_what_is_fast_and_wrong_is_passed_over() -> None:
    rows = [row("dynamic", 1.0, 0.80), row("dynamic", 1.2, 0.897, reduce_range=True), row("none", 2.0, 0.90)]
    assert best(rows, 0.005).reduce_range is True
    assert best(rows, 0.001).form == "none"
    assert best(rows, 0.2).reduce_range is False


def test_without_labels_the_error_decides_what_is_good() -> None:
    rows = [row("dynamic", 1.0, None, 0.05), row("dynamic", 1.2, None, 0.011, reduce_range=True)]
    rows += [row("static", 1.3, None, 0.01), row("none", 2.0)]
    assert best(rows, 0.005).reduce_range is True


def test_the_first_of_equally_fast_ones_is_kept() -> None:
    rows = [row("dynamic", 1.02, 0.9), row("static", 1.0, 0.9), row("none", 9.0, 0.9)]
    assert best(rows, 0.0).form == "dynamic"


def test_full_precision_is_kept_where_int8_is_slower() -> None:
    assert best([row("dynamic", 3.0, 0.9), row("none", 2.0, 0.9)], 0.005).form == "none"


def test_openvino_is_tried_where_it_is_exported() -> None:
    assert {candidate.runtime for candidate in candidates(["onnx"])} == {"onnxruntime"}
    assert {candidate.form for candidate in candidates(["onnx", "openvino"]) if candidate.runtime == "openvino"} == {
        "static",
        "none",
    }


@pytest.mark.parametrize("int8", INT8_NAMES)
def test_what_saturates_on_this_cpu_is_not_tried(int8: str) -> None:
    for candidate in candidates(["onnx", "openvino"], int8=int8):
        seven_bits = candidate.reduce_range
        planned = Int8Form(f"int8-{candidate.form}", candidate.weight_type, "", seven_bits, seven_bits)
        assert candidate.form == "none" or not saturates(planned, candidate.runtime, int8)
    assert (Candidate("dynamic") in candidates(["onnx"], int8=int8)) == (int8 != "avx2")


def test_a_gpu_is_not_chosen_for_by_what_the_cpu_does(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE)
    recipe = read_recipe(tmp_path / "r.toml", ("quantize.format=measure",))
    assert quantization(recipe, read_target("x86-avx2")) == "measure"
    with pytest.raises(SettingsError, match="profile nvidia-t4 runs on CUDAExecutionProvider"):
        quantization(recipe, read_target("nvidia-t4"))


@pytest.mark.slow
def test_a_bundle_says_what_was_tried_and_runs_what_was_fastest(
    built: Path, checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    work, out = built.with_name(built.name + ".work"), tmp_path / "out"
    command = ["export", str(tmp_path / "r.toml"), "--data-dir", str(data_dir), "--work", str(work), "--out", str(out)]
    assert main([*command, "--set", "quantize.format=measure", "--json"]) == 0
    done = {stage["title"]: stage["cached"] for stage in json.loads(capsys.readouterr().out)["stages"]}
    assert (done["recover"], done["choose"]) == (True, False)
    manifest = read_document(out)
    (stage,) = [stage for stage in manifest["stages"] if stage["stage"] == "choose"]
    tried, chosen = stage["metrics"]["tried"], Candidate(**stage["metrics"]["chosen"])
    listed = candidates(["onnx", "openvino"], int8=this_cpu().int8)
    assert [row["candidate"] for row in tried] == [str(candidate) for candidate in listed]
    assert all(row["p50_ms"] > 0 and 0.5 < row["quality"] <= 1 for row in tried)
    assert [row["error"] for row in tried if row["form"] == "none"] == pytest.approx([0, 0], abs=1e-5)
    assert all(0 < row["error"] < 0.2 for row in tried if row["form"] != "none")
    assert manifest["runtime"]["default"] == chosen.runtime
    assert manifest["precision"] == ("fp32" if chosen.form == "none" else f"int8-{chosen.form}")
    assert manifest["profile"]["export"]["reduce_range"] == chosen.reduce_range
    assert edgebert.load(out)("a lovely film").label == "pos"
    before = (out / "manifest.json").read_bytes()
    assert main([*command, "--set", "quantize.format=measure", "--json"]) == 0
    assert all(stage["cached"] for stage in json.loads(capsys.readouterr().out)["stages"])
    assert (out / "manifest.json").read_bytes() == before
    assert not list(next(work.glob("choose-*")).rglob("*.onnx"))
