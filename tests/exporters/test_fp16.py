"""FP16: half the bytes and the same answers; values above its range stay in FP32."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import RECIPE
from onnx import TensorProto

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import arch
from edgebert.compress import checkpoint as checkpoints
from edgebert.runtime.load import load_bundle


def export(
    built: Path, checkpoint: Path, data_dir: Path, out: Path, *more: str, formats: str = '"onnx", "openvino"'
) -> int:
    recipe = out.with_suffix(".toml")
    recipe.write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)).replace('"onnx", "openvino"', formats))
    work = built.with_name(built.name + ".work")
    return main(
        ["export", str(recipe), "--data-dir", str(data_dir), "--out", str(out), "--work", str(work), "--json", *more]
    )


def test_weights_take_half_and_the_answers_stay(
    built: Path, checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "half"
    assert export(built, checkpoint, data_dir, out, "--set", "quantize.format=fp16") == 0
    assert [stage["title"] for stage in json.loads(capsys.readouterr().out)["stages"] if not stage["cached"]] == [
        "fp16"
    ]
    manifest = read_document(out)
    assert (manifest["precision"], manifest["stages"][-1]["stage"]) == ("fp16", "fp16")
    weights = [each for each in onnx.load(out / "model.onnx").graph.initializer if np.prod(each.dims) > 32]
    assert {each.data_type for each in weights} == {TensorProto.FLOAT16}
    assert {product["precision"] for product in manifest["cost"] if product["kind"] == "weights"} == {"fp16"}
    full = built.with_name(built.name + ".stages") / "3-prune"
    texts = ["a lovely film", "the meal was awful and cold", "so so"]
    theirs = [answer.scores for answer in edgebert.load(full)(texts)]
    for runtime in ("onnxruntime", "openvino"):
        ours = [answer.scores for answer in edgebert.load(out, runtime=runtime)(texts)]
        for one, other in zip(ours, theirs, strict=True):
            assert one == pytest.approx(other, abs=2e-4)
    assert 0 < manifest["stages"][-1]["metrics"]["agreement"]["max_difference"] < 2e-3
    quality = [read_document(folder)["metrics"]["validation"]["value"] for folder in (out, full)]
    assert quality[0] == pytest.approx(quality[1], abs=1 / 64)


@pytest.mark.parametrize("profile", ["nvidia-t4", "jetson-orin-nano"])
def test_the_gpus_profiles_export_as_they_are(
    profile: str, built: Path, checkpoint: Path, data_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "gpu"
    assert export(built, checkpoint, data_dir, out, "--profile", profile) == 0
    manifest = read_document(out)
    assert manifest["precision"] == "fp16"
    assert manifest["profile"]["export"]["provider"] == "CUDAExecutionProvider"
    assert {node.op_type for node in onnx.load(out / "model.onnx").graph.node} >= {"Attention", "ReduceSum"}
    full = built.with_name(built.name + ".stages") / "3-prune"
    texts = ["a lovely film", "the meal was awful and cold", "so so"]
    theirs = [answer.scores for answer in edgebert.load(full)(texts)]
    # ONNX Runtime on the CPU replaces the GPU here; OpenVINO has its own graph.
    on_cpu = load_bundle(out, "onnxruntime", 1, verify=True, provider=("CPUExecutionProvider", {}))
    for model in (on_cpu, edgebert.load(out, runtime="openvino")):
        for one, other in zip([answer.scores for answer in model(texts)], theirs, strict=True):
            assert one == pytest.approx(other, abs=2e-4)


def export_changed(
    change: Callable[[arch.LayerParts], None], built: Path, data_dir: Path, tmp_path: Path, *more: str
) -> int:
    """Change the second layer of the fine-tuned teacher without changing its answers, and export it in FP16."""
    (teacher,) = built.with_name(built.name + ".work").glob("finetune-*")
    source = Path(shutil.copytree(teacher, tmp_path / "source"))
    model = checkpoints.load_model(source, "text-classification", ["neg", "pos"])
    with torch.no_grad():
        change(arch.layer_parts(arch.encoder_layers(model)[1]))
    model.save_pretrained(source)
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'name = "r"\ntask = "text-classification"\n[model]\nsource = "{source}"\n[data]\n'
        'train = "train.tsv"\nvalidation = "validation.tsv"\nmax_length = 32\n[quantize]\nformat = "fp16"\n'
        "[export]\nstages = false\n"
    )
    return main(["export", str(recipe), "--data-dir", str(data_dir), "--out", str(tmp_path / "out"), *more])


@pytest.mark.slow
def test_products_that_outgrow_fp16_stay_in_fp32_and_the_bundle_says_so(
    built: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def large(parts: arch.LayerParts) -> None:
        parts.value.weight *= 1e6
        parts.value.bias *= 1e6
        parts.attention_output.weight /= 1e6

    assert export_changed(large, built, data_dir, tmp_path, "--profile", "nvidia-t4") == 0
    assert "operators stay in FP32" in capsys.readouterr().err
    out = tmp_path / "out"
    metrics = read_document(out)["stages"][-1]["metrics"]
    assert metrics["operators_in_fp32"] == len(metrics["fp32"]["operators"]) == 4
    assert max(metrics["fp32"]["peaks"].values()) > 65504
    assert metrics["agreement"]["agreement"] == 1.0
    assert "operators_in_fp32 4" in (out / "README.md").read_text()
    kinds = {product["precision"] for product in read_document(out)["cost"] if product["kind"] == "weights"}
    assert kinds == {"fp16", "fp32"}
    assert not list(out.glob("*emulated*"))
    (teacher,) = built.with_name(built.name + ".stages").glob("0-baseline")
    texts = ["a lovely film", "the meal was awful and cold", "so so"]
    on_cpu = load_bundle(out, "onnxruntime", 1, verify=True, provider=("CPUExecutionProvider", {}))
    for one, other in zip(on_cpu(texts), edgebert.load(teacher)(texts), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=2e-3)


@pytest.mark.slow
def test_a_model_that_fp16_does_not_fit_is_refused(
    built: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its weights are too small for FP16; large weights elsewhere compensate for this."""

    def small(parts: arch.LayerParts) -> None:
        parts.value.weight *= 1e-5
        parts.value.bias *= 1e-5
        parts.attention_output.weight *= 1e5

    assert export_changed(small, built, data_dir, tmp_path) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "too large or too small for it; set quantize.format" in last
    assert not (tmp_path / "out").exists()
