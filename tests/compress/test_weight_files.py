"""Weights in one file or in shards: what is refused, with which message."""

import json
import shutil
from pathlib import Path

import pytest
import torch
import transformers
from family_checkpoints import FAMILIES
from family_models import TASK, assert_same, load
from safetensors.torch import load_file, save_file

from edgebert.compress import checkpoint
from edgebert.errors import CheckpointError
from edgebert.workdir import model_hash


@pytest.fixture
def folder(classifier_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))


@pytest.mark.parametrize("family", FAMILIES)
def test_shards_answer_as_one_file_does(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    sharded = Path(shutil.copytree(folders[family], tmp_path / "sharded"))
    (sharded / "model.safetensors").unlink()
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folders[family])
    model.save_pretrained(sharded, max_shard_size="20kB")
    assert len(list(sharded.glob("model-*.safetensors"))) > 1
    checkpoint.check_folder(sharded)
    assert checkpoint.has_head(sharded, TASK, ["a", "b"])
    assert_same(load(sharded), load(folders[family]))


def test_the_hash_holds_every_shard(folder: Path) -> None:
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20kB")
    before, shard = model_hash(folder), sorted(folder.glob("model-*.safetensors"))[-1]
    save_file({name: weight + 1 for name, weight in load_file(shard).items()}, shard, metadata={"format": "pt"})
    assert model_hash(folder) != before


@pytest.mark.parametrize("name", ["../outside.safetensors", "/outside.safetensors", 7, "", "a\0b", "a" * 5000])
def test_an_index_names_files_of_its_folder(folder: Path, name: object) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(CheckpointError, match=r"expected files of the same folder|not an index"):
        checkpoint.check_folder(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')
    with pytest.raises(CheckpointError, match=r"model-00001-of-00002\.safetensors is missing"):
        checkpoint.check_folder(folder)


def test_an_adapter_is_named_for_what_it_is(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"is an adapter.*merge_and_unload"):
        checkpoint.check_folder(folder)


def test_an_adapter_beside_a_model_is_not_passed_over(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"adapter_config\.json is an adapter"):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize(("prefix", "wrapper"), [("module.", "DistributedDataParallel"), ("_orig_mod.", "compile")])
def test_a_wrappers_names_are_refused(folder: Path, prefix: str, wrapper: str) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({prefix + name: weight for name, weight in weights.items()}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"{wrapper}.*save the model inside it"):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("family", ["bert", "mobilebert"])
def test_a_head_without_its_pooler_is_no_head(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    assert checkpoint.has_head(folder, TASK, ["a", "b"])
    weights = {name: w for name, w in load_file(folder / "model.safetensors").items() if "pooler" not in name}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert not checkpoint.has_head(folder, TASK, ["a", "b"])
    assert checkpoint.has_head(folder, "similarity", [])
    assert torch.isfinite(next(load(folder).parameters())).all()


@pytest.mark.parametrize("family", ["bert", "mobilebert"])
def test_a_pooler_without_the_encoder_s_name_before_it_is_a_head_s(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    renamed = {name.removeprefix(f"{family}."): weight for name, weight in weights.items()}
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    checkpoint.check_folder(folder)
    assert checkpoint.has_head(folder, TASK, ["a", "b"])
    assert_same(load(folder), load(folders[family]))
