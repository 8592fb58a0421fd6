"""Masked language modelling with all stages; its small encoder is then the start of the next task."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from masked_words import IDS, SEEN, lines
from recipes import splits, whole_chain
from safetensors.torch import load_file, save_file

import edgebert
from edgebert.bundle import file_sha256, read_document, read_manifest
from edgebert.cli import main
from edgebert.compress import arch
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.families import SHAPES_KEY
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.errors import CheckpointError

RECIPE = whole_chain(
    "words",
    "fill-mask",
    splits("txt", unlabelled=["more.txt.gz"], max_length=32),
    head={"top_k": 3},
    finetune={"epochs": 12.0, "learning_rate": 3e-3, "batch_size": 16},
    distill={"epochs": 4.0, "batch_size": 16, "loss": {"hard": 1.0}},
    prune={"recover": {"batch_size": 16}},
    quantize={"samples": 16},
    export={"stages": False},
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The bundle of all stages; its data is beside it."""
    import gzip

    folder = tmp_path_factory.mktemp("words")
    for name, count, seed in (("train", 192, 1), ("validation", 48, 2), ("test", 48, 3)):
        (folder / f"{name}.txt").write_text("\n".join(lines(count, seed)) + "\n")
    (folder / "more.txt.gz").write_bytes(gzip.compress("\n".join(lines(32, 4)).encode()))
    (folder / "words.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "words.toml"), "--out", str(folder / "bundle")]) == 0
    return folder / "bundle"


@pytest.mark.slow
def test_the_whole_chain_gives_a_bundle_that_fills_in(exported: Path) -> None:
    manifest = read_document(exported)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["task"], manifest["labels"], manifest["segments"]) == ("fill-mask", [], 1)
    assert (manifest["inputs"], manifest["outputs"]) == (["input_ids", "attention_mask"], ["logits"])
    assert (manifest["metrics"]["test"]["metric"], manifest["metrics"]["test"]["n"]) == ("accuracy", 48)
    assert manifest["metrics"]["test"]["value"] > 0.5, "by chance it is 0.1"
    assert manifest["head"]["settings"] == {"top_k": 3}


@pytest.mark.slow
def test_the_command_line_fills_in(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "good good [MASK] good good"
    (several,) = edgebert.load(exported)(text).masks
    assert len(several) == 3
    assert main(["predict", str(exported), text]) == 0
    shown = ", ".join(f"{one.token} {one.score:.4f}" for one in several)
    assert capsys.readouterr().out == f"{shown}\t{text}\n"
    assert main(["predict", str(exported), text, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["masks"][0][0] == asdict(several[0])
    assert main(["predict", str(exported), "good good"]) == 2
    assert "holds no [MASK]" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported), "--data", str(exported.with_name("test.txt")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == read_document(exported)["metrics"]["test"]


@pytest.mark.slow
def test_bench_has_its_quality_too(exported: Path) -> None:
    from edgebert.measure.process import run_child
    from edgebert.measure.workload import read_workload

    workload = read_workload(exported.with_name("test.txt"), read_manifest(exported))
    assert workload.examples[0].label is not None
    job = {"bundle": str(exported), "runtime": None, "threads": 1, "warmup": 1, "samples": 4, "batch_size": 4}
    job |= {"length": 0, "texts": workload.inputs[:8]}
    assert run_child({**job, "scenario": "offline"})["texts"] >= 8
    scored = run_child(
        {**job, "scenario": "quality", "data": str(exported.with_name("test.txt")), "metric": "accuracy"}
    )
    assert scored["quality"] == read_document(exported)["metrics"]["test"]


@pytest.fixture(scope="module")
def small(exported: Path) -> Path:
    """The pruned model folder of the export."""
    (folder,) = exported.with_name("bundle.work").glob("recover-*")
    return folder


@pytest.mark.slow
def test_the_small_encoder_starts_the_next_task_with_a_head_from_the_seed(small: Path) -> None:
    source = load_file(small / "model.safetensors")
    models = [checkpoints.load_model(small, "text-classification", ["a", "b", "c"], seed) for seed in (1, 1, 2)]
    assert arch.noted_shapes(models[0].config) == arch.layer_shapes(models[0])
    state = models[0].state_dict()
    encoder = [name for name in source if name.startswith("bert.")]
    assert len(encoder) > 20
    assert all(torch.equal(state[name], source[name]) for name in encoder)
    heads = [model.classifier.weight for model in models]
    assert heads[0].shape == (3, 32)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not checkpoints.has_head(small, "text-classification", ["a", "b", "c"])


def test_a_pruned_head_of_other_labels_is_drawn_anew(classifier_checkpoint: Path, tmp_path: Path) -> None:
    model = pruned_classifier(classifier_checkpoint)
    checkpoints.save_model(model, checkpoints.load_tokenizer(classifier_checkpoint), tmp_path)
    same = checkpoints.load_model(tmp_path, "text-classification", ["a", "b"])
    assert torch.equal(same.classifier.weight, model.classifier.weight)
    more = checkpoints.load_model(tmp_path, "text-classification", ["a", "b", "c"])
    assert more.classifier.weight.shape == (3, 32)
    assert torch.equal(more.bert.pooler.dense.weight, model.bert.pooler.dense.weight)


def pruned_classifier(folder: Path) -> Any:
    model = checkpoints.load_model(folder, "text-classification", ["a", "b"])
    scores = Importance([torch.arange(4.0)] * 3, [torch.arange(64.0)] * 3)
    cut(model, choose(scores, 0.5, 0.5, ffn_multiple=4))
    return model


@pytest.mark.slow
def test_the_small_encoder_embeds_without_its_prefix(small: Path) -> None:
    bare = checkpoints.load_model(small, "similarity", []).eval()
    whole = checkpoints.load_model(small, "fill-mask", []).eval()
    with torch.no_grad():
        ours = bare(input_ids=IDS, attention_mask=SEEN).last_hidden_state
        theirs = whole.bert(input_ids=IDS, attention_mask=SEEN).last_hidden_state
    assert torch.equal(ours, theirs)


@pytest.mark.slow
def test_a_pruned_encoder_without_prefix_starts_a_task_with_one(small: Path, tmp_path: Path) -> None:
    bare = checkpoints.load_model(small, "similarity", [])
    checkpoints.save_model(bare, checkpoints.load_tokenizer(small), tmp_path)
    assert not any(name.startswith("bert.") for name in load_file(tmp_path / "model.safetensors"))
    model = checkpoints.load_model(tmp_path, "text-classification", ["a", "b"])
    source = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(model.state_dict()[f"bert.{name}"], tensor) for name, tensor in source.items())


@pytest.mark.slow
def test_a_pruned_folder_that_lost_a_part_of_its_encoder_is_refused(small: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(small, tmp_path / "broken"))
    weights = load_file(broken / "model.safetensors")
    del weights["bert.encoder.layer.1.output.dense.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"have no bert\.encoder\.layer\.1\.output\.dense\.weight"):
        checkpoints.load_model(broken, "text-classification", ["a", "b"])


@pytest.mark.slow
def test_another_recipe_takes_the_small_encoder_as_its_model(small: Path, data_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "next.toml").write_text(
        'name = "next"\ntask = "text-classification"\n[model]\nsource = "elsewhere"\n'
        '[data]\ntrain = "train.tsv"\nvalidation = "validation.tsv"\nmax_length = 32\n'
        '[finetune]\nepochs = 3.0\nlearning_rate = 3e-3\nbatch_size = 8\n[quantize]\nformat = "none"\n'
        "[export]\nstages = false\n"
    )
    before = file_sha256(small / "model.safetensors")
    command = ["export", str(tmp_path / "next.toml"), "--model", str(small), "--data-dir", str(data_dir)]
    assert main([*command, "--out", str(tmp_path / "next")]) == 0
    manifest = read_document(tmp_path / "next")
    assert manifest["metrics"]["validation"]["value"] > 0.8
    assert [[layer["heads"], layer["ffn"]] for layer in manifest["layers"]] == json.loads(
        (small / "config.json").read_text()
    )[SHAPES_KEY]
    assert file_sha256(small / "model.safetensors") == before
