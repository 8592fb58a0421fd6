"""Incomplete copies of model folders: the message says what is there, and which command repairs it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from family_checkpoints import make_family, make_tokenizer
from safetensors.torch import load_file, save_file

from edgebert.compress import checkpoint
from edgebert.compress.encoder_settings import longest_input
from edgebert.compress.model_folder import check_described
from edgebert.compress.sentence_modules import VectorStep
from edgebert.compress.vector_modules import load_vector_modules
from edgebert.errors import CheckpointError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 133466304\n"
QUERY = "bert.encoder.layer.0.attention.self.query"


@pytest.fixture
def folder(classifier_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))


def refused(check: Callable[[Path], object], folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        check(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_pointer_of_git_lfs_is_named_as_one(name: str, folder: Path) -> None:
    (folder / name).write_text(POINTER)
    said = refused(check_described, folder)
    assert said.startswith(f"{folder / name}: a Git LFS pointer, not the file itself; run `git lfs pull`")


def test_a_pointer_in_the_place_of_a_shard_is_named_as_one(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')
    (folder / "model-00001-of-00001.safetensors").write_text(POINTER)
    assert "model-00001-of-00001.safetensors: a Git LFS pointer" in refused(check_described, folder)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pointer_in_the_place_of_a_modules_weights_is_named_as_one(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(POINTER)
    said = refused(lambda place: load_vector_modules("mean", [VectorStep("Dense", 32, 8)], [place]), tmp_path)
    assert f"{name}: a Git LFS pointer" in said


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.fp16.safetensors", "model.fp16.safetensors, the variant 'fp16'; load it with from_pretrained(folder, "),
        ("model.fp16-00001-of-00002.safetensors", "the variant 'fp16'; load it with"),
        ("model-00001-of-00002.safetensors", "without model.safetensors.index.json, which names the shards; copy"),
        ("weights.safetensors", "weights.safetensors; rename it to model.safetensors if it holds the model"),
    ],
)
def test_weights_under_another_name_are_named(name: str, says: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / name)
    assert says in refused(check_described, folder)


@pytest.mark.parametrize(
    ("renamed", "added"),
    [
        ({f"{QUERY}.weight": f"{QUERY}.base_layer.weight"}, f"{QUERY}.lora_A.default.weight"),
        ({}, f"{QUERY}.lora_A.default.weight"),
        (
            {"classifier.weight": "classifier.original_module.weight"},
            "classifier.modules_to_save.default.weight",
        ),
    ],
    ids=["base-layer", "beside", "head"],
)
def test_an_adapter_that_is_not_merged_is_named(renamed: dict[str, str], added: str, folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = {renamed.get(name, name): weight for name, weight in load_file(path).items()} | {added: torch.ones(2, 2)}
    save_file(weights, path, metadata={"format": "pt"})
    said = refused(check_described, folder)
    assert (
        ", of an adapter (PEFT) that is not merged into the model; load both with PEFT, then merge_and_unload" in said
    )
    assert any(name in said for name in (*renamed.values(), added))


@pytest.mark.parametrize("name", ["special_tokens_map.json", "tokenizer_config.json"])
def test_a_broken_file_of_the_tokenizer_is_named(name: str, folder: Path) -> None:
    (folder / name).write_text("{")
    if name != "tokenizer_config.json":
        (folder / "tokenizer_config.json").unlink()
        (folder / "tokenizer.json").unlink()
        (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n")
    assert f"{folder / name}: not a JSON object (" in refused(checkpoint.load_tokenizer, folder)


def test_a_tokenizer_config_that_is_a_list_is_no_matter_of_sentence_transformers(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("[]")
    said = refused(lambda folder: longest_input(folder, with_settings=False), tmp_path)
    assert said.endswith("not a JSON object but a list; save the model again with save_pretrained")


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"tokenize_chinese_chars": None}, "tokenize_chinese_chars is null; expected true or false"),
        ({"do_lower_case": None}, "do_lower_case is null; expected true or false"),
        ({"strip_accents": "no"}, 'strip_accents is "no"; expected true, false or null'),
    ],
)
@pytest.mark.parametrize("has_vocabulary_alone", [False, True])
def test_a_switch_of_the_normalizer_that_is_none_is_named(
    stated: dict[str, object], says: str, has_vocabulary_alone: bool, folder: Path
) -> None:
    if has_vocabulary_alone:
        (folder / "tokenizer.json").rename(folder / "vocab.txt")
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    assert f"{folder / 'tokenizer_config.json'}: {says}" in refused(check_described, folder)


@pytest.mark.parametrize("has_vocabulary", [False, True])
def test_a_class_of_tokenizers_that_cannot_be_used_is_named(has_vocabulary: bool, folder: Path) -> None:
    words = "\n".join(checkpoint.load_tokenizer(folder).get_vocab()) if has_vocabulary else ""
    (folder / "vocab.txt").unlink(missing_ok=True)
    if has_vocabulary:
        (folder / "vocab.txt").write_text(words)
    stated = json.loads((folder / "tokenizer_config.json").read_text()) | {"tokenizer_class": "BertJapaneseTokenizer"}
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    said = refused(checkpoint.load_tokenizer, folder)
    assert "has the model's ids, set tokenizer_class ('BertJapaneseTokenizer') in tokenizer_config.json to" in said
    (folder / "tokenizer_config.json").write_text(json.dumps(stated | {"tokenizer_class": "PreTrainedTokenizerFast"}))
    assert checkpoint.load_tokenizer(folder).is_fast


@pytest.mark.parametrize(("family", "name"), [("roberta", "vocab.txt"), ("xlm-roberta", "vocab.txt")])
def test_a_vocabulary_that_the_tokenizers_class_does_not_read_is_refused(
    family: str, name: str, tmp_path: Path
) -> None:
    folder = make_family(tmp_path / "model", family, num_hidden_layers=1)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()
    (folder / name).write_text("the 100\nstory 90\n")
    said = refused(checkpoint.load_tokenizer, folder)
    assert "transformers reads only special tokens with" in said
    make_tokenizer(family).save_pretrained(folder)
    assert checkpoint.load_tokenizer(folder).is_fast
