"""`--precision int8-weights`: what it refuses, and what other commands print about its bundles."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from command_line import Run, refused
from conftest import RECIPE, make_checkpoint

import edgebert
from edgebert.bundle import read_document, read_manifest
from edgebert.cli import main
from edgebert.compress.conditions import graph_tools
from edgebert.exporting import tools_of
from edgebert.precision import quantization
from edgebert.recipe import read_recipe
from edgebert.runtime.load import opening_of
from edgebert.runtime.sessions.onnxruntime import UnpaddedSession
from edgebert.runtimes import ONNXRUNTIME
from edgebert.target import read_target

ALONE = ("--precision", "int8-weights")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model", layers=1, head=2)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--profile", "nvidia-t4"), "profile nvidia-t4 runs on CUDAExecutionProvider; leave quantize.format"),
        (("--set", 'export.formats=["core"]'), "export.formats holds core, which computes INT8"),
        (("--set", 'export.formats=["onnx", "core"]'), "export.formats holds core, which computes INT8"),
        (("--set", "quantize.smooth=0.5"), "quantize.smooth is 0.5, which moves outliers of activations"),
    ],
)
def test_what_does_not_go_with_it_is_refused_by_name(
    more: tuple[str, ...], told: str, run: Run, folder: Path, tmp_path: Path
) -> None:
    code, out, err = run("export", folder, *ALONE, *more, "--out", tmp_path / "b")
    assert (code, out) == (2, "")
    assert told in err.splitlines()[-1]
    assert not (tmp_path / "b.work").exists()


def test_training_for_int8_arithmetic_is_refused(run: Run, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.replace("CHECKPOINT", "x").replace('["onnx", "openvino"]', '["onnx"]'))
    code, _, err = run("export", recipe, "--set", "quantize.format=weights", "--set", "quantize.recover.epochs=1")
    assert code == 2
    assert "trains for INT8, but the export is weight-only INT8, which computes FP32; leave" in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--precision", "int8-weight"), "invalid choice: 'int8-weight' (choose from"),
        (("--set", "quantize.format=weight"), "'quantize.format' is 'weight'; expected one of"),
    ],
)
def test_a_form_that_there_is_not(words: tuple[str, ...], told: str, run: Run, folder: Path) -> None:
    assert told in refused(run("export", folder, *words))


def test_a_plain_graph_and_openvino_go_with_it_and_need_no_quantizer(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('name = "a"\ntask = "similarity"\n[model]\nsource = "x"\n')
    formats = ("onnx", "openvino")
    overrides = ("quantize.format=weights", 'export.formats=["onnx", "openvino"]', "export.graph=plain")
    assert quantization(read_recipe(tmp_path / "r.toml", overrides), read_target("raspberry-pi-5")) == "weights"
    assert tools_of("weights", formats) == ["openvino"]
    assert "nncf" not in graph_tools("weights", formats)


@pytest.mark.slow
@pytest.mark.int8
def test_every_command_tells_it_apart(run: Run, folder: Path, tmp_path: Path) -> None:
    text, out = tmp_path / "texts.txt", tmp_path / "b"
    text.write_text("a good film\nthe story was dull and cold\nso poor\n" * 3)
    code, said, err = run("export", folder, *ALONE, "--text", text, "--out", out)
    assert code == 0, err
    assert "speed: " in said
    manifest = read_document(out)
    assert manifest["precision"] == "int8-weights"
    assert manifest["runtime"]["graphs"] == {"onnxruntime": "model.onnx"}
    assert {row["precision"] for row in manifest["cost"] if row["kind"] == "weights"} == {"fp32"}
    assert manifest["stages"][-1]["arguments"]["format"] == "weights"
    long = "int8-weights (INT8 weights, FP32 arithmetic)"
    assert long in run("inspect", out)[1]
    assert long in (out / "README.md").read_text()
    assert "int8-weights" in run("compare", out, folder, "--text", text)[1]
    # With ONNX Runtime's defaults and with `edgebert.load`: FP32 arithmetic, but different graphs.
    ids = np.array([[2, 7, 8, 9, 3]])
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    (right,) = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"]).run(None, given)
    session = ONNXRUNTIME.open(opening_of(out, read_manifest(out), "onnxruntime", 1))
    assert isinstance(session, UnpaddedSession)
    assert np.abs(session.run(given)[0] - right).max() <= 1e-6
    # A suite of one case: the latency is not relevant here.
    (tmp_path / "s.toml").write_text(
        'name = "s"\nscenarios = ["single_stream"]\nsamples = 10\nrounds = 2\nwarmup = 1\n'
    )
    beside = tmp_path / "b.work" / "edgebert-full-precision"
    code, said, err = run(
        *("bench", out, "--data", text, "--baseline", beside, "--suite", tmp_path / "s.toml", "--out", tmp_path / "r")
    )
    assert code == 0, err
    assert "precision: fp32 fp32, bundle int8-weights\n" in said
    assert "INT8 sums saturate" not in said + err
    result = json.loads((tmp_path / "r" / "result.json").read_text())
    named = {case["variant"]: case["precision"] for case in result["cases"]}
    assert named == {"fp32": "fp32", "bundle": "int8-weights"}
    assert run("report", tmp_path / "r", "--out", tmp_path / "r.html")[0] == 0
    assert "(int8-weights)" in (tmp_path / "r.html").read_text()


@pytest.mark.slow
@pytest.mark.int8
def test_the_guard_judges_it_and_openvino_has_its_graph(data_dir: Path, checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="the openvino extra is not installed")
    recipe, out = tmp_path / "recipe.toml", tmp_path / "b"
    recipe.write_text(
        f'name = "a"\ntask = "text-classification"\n[model]\nsource = "{checkpoint}"\n'
        '[data]\ntrain = "train.tsv"\nvalidation = "validation.tsv"\nmax_length = 32\n'
        "[finetune]\nepochs = 1.0\nlearning_rate = 2e-3\nbatch_size = 8\n"
        '[quantize]\nformat = "weights"\nmax_drop = 0.05\n[export]\nstages = false\nformats = ["onnx", "openvino"]\n'
    )
    assert main(["export", str(recipe), "--data-dir", str(data_dir), "--out", str(out)]) == 0
    manifest = read_document(out)
    guard = manifest["stages"][-1]["metrics"]["guard"]
    assert (guard["max_drop"], guard["kept"]) == (0.05, [])
    assert guard["tried"][0]["quality"] >= guard["full_precision"] - 0.05
    assert manifest["stages"][-1]["metrics"]["agreement"]["max_difference"] < 0.05
    assert set(manifest["runtime"]["graphs"]) == {"onnxruntime", "openvino"}
    texts = ["a good film", "the story was dull and cold"]
    answers = [
        [each.scores for each in edgebert.load(out, runtime=name)(texts)] for name in ("onnxruntime", "openvino")
    ]
    for one, other in zip(*answers, strict=True):
        assert np.abs(np.array(list(one.values())) - np.array(list(other.values()))).max() < 1e-4
