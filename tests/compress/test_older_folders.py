"""Folders from transformers 4, and half-precision ones."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from family_checkpoints import BERT_LIKE, FAMILIES, PAIRED, WORDPIECES, byte_pairs
from family_models import LABELS, TASK, assert_same, change_config, load, random_masks, save
from safetensors.torch import load_file, save_file

from edgebert.compress import checkpoint
from edgebert.compress.families import family_named
from edgebert.compress.prune import cut
from edgebert.errors import CheckpointError
from edgebert.runtime.encode import TextEncoder
from edgebert.workdir import model_hash


def older(folder: Path, family: str, tokenizer: str) -> Path:
    """Rewrite a folder as transformers 4 saved it, the tokenizer as files of `tokenizer`: "vocabulary" or "json"."""
    weights = load_file(folder / "model.safetensors")
    prefix = family_named(family).prefix
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): weight
        for name, weight in weights.items()
    }
    positions = next((weight for name, weight in weights.items() if name.endswith("position_embeddings.weight")), None)
    if positions is not None:
        renamed[f"{prefix}.embeddings.position_ids"] = torch.arange(len(positions))[None].contiguous()
    if family == "modernbert":
        thetas = {"global_rope_theta": 160000.0, "local_rope_theta": 10000.0, "global_attn_every_n_layers": 3}
        change_config(folder, ("layer_types", "rope_parameters"), **thetas, reference_compile=True)
    save_file(renamed, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(
        folder, ("dtype",), torch_dtype="float32", transformers_version="4.30.2", position_embedding_type="absolute"
    )
    if tokenizer == "vocabulary":
        older_tokenizer(folder, family)
    return folder


def older_tokenizer(folder: Path, family: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    special = {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"}
    special["mask_token"] = "[MASK]"
    config: dict[str, Any] = {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"}
    classes = {"distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer", "mobilebert": "MobileBertTokenizer"}
    if family == "roberta":
        vocabulary, merges = byte_pairs()
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
        (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        special = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
        special |= {"bos_token": "<s>", "eos_token": "</s>"}
        config = {"model_max_length": 512, "tokenizer_class": "RobertaTokenizer", "add_prefix_space": False}
    else:
        (folder / "vocab.txt").write_text("\n".join(WORDPIECES) + "\n")
        config["tokenizer_class"] = classes.get(family, "BertTokenizer")
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def tokens(folder: Path, out: Path) -> list[list[int]]:
    tokenizer = checkpoint.load_tokenizer(folder)
    out.mkdir()
    tokenizer.backend_tokenizer.save(str(out / "tokenizer.json"))
    encoder = TextEncoder(out / "tokenizer.json", 16)
    texts = [text for pair in PAIRED for text in pair] + ["A Good FILM, and <pad> the <s> end"]
    return [encoder.encode(text).ids for text in texts] + [encoder.encode_pair(*pair).ids for pair in PAIRED]


@pytest.mark.parametrize(
    ("tokenizer", "family"),
    # A Unigram vocabulary has no file of its own that is read without sentencepiece.
    [("vocabulary", family) for family in (*BERT_LIKE, "roberta")] + [("json", family) for family in FAMILIES],
)
def test_a_folder_of_transformers_4_is_the_same_model(
    family: str, tokenizer: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = older(Path(shutil.copytree(folders[family], tmp_path / "model")), family, tokenizer)
    checkpoint.check_folder(folder)
    assert_same(load(folder), load(folders[family]))
    assert tokens(folder, tmp_path / "older") == tokens(folders[family], tmp_path / "newer")
    report = checkpoint.take_over(folder, TASK, LABELS, tmp_path / "taken")
    assert report.stage == "take-over"
    checkpoint.check_folder(tmp_path / "taken")
    assert_same(load(tmp_path / "taken"), load(folders[family]))


@pytest.mark.parametrize("family", BERT_LIKE)
def test_a_vocabulary_file_alone_is_a_tokenizer(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = older(Path(shutil.copytree(folders[family], tmp_path / "model")), family, "vocabulary")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink()
    checkpoint.check_folder(folder)
    assert tokens(folder, tmp_path / "older") == tokens(folders[family], tmp_path / "newer")


def test_special_tokens_written_as_objects_are_read(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = older(Path(shutil.copytree(folders["roberta"], tmp_path / "model")), "roberta", "vocabulary")
    path = folder / "special_tokens_map.json"
    flags = {"lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
    special = {name: {"content": token, **flags} for name, token in json.loads(path.read_text()).items()}
    special["mask_token"] = {"content": "<mask>", **flags, "lstrip": True}
    path.write_text(json.dumps(special))
    assert tokens(folder, tmp_path / "older") == tokens(folders["roberta"], tmp_path / "newer")


def test_merges_without_a_vocabulary_are_no_tokenizer(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = older(Path(shutil.copytree(folders["roberta"], tmp_path / "model")), "roberta", "vocabulary")
    (folder / "vocab.json").unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer\.json, vocab\.txt, or vocab\.json with merges\.txt"):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("name", ["sentencepiece.bpe.model", "spiece.model", "spm.model"])
def test_a_sentencepiece_model_alone_is_refused_with_the_remedy(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["xlm-roberta"], tmp_path / "model"))
    (folder / "tokenizer.json").rename(folder / name)
    library = "transformers 4" if name == "spm.model" else "transformers"
    with pytest.raises(CheckpointError, match=rf"{name} without a tokenizer\.json; make one with {library} and the"):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_hash_of_an_older_folder_covers_its_tokenizer(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = older(Path(shutil.copytree(folders[family], tmp_path / "model")), family, "vocabulary")
    before = model_hash(folder)
    name = "merges.txt" if family == "roberta" else "vocab.txt"
    (folder / name).write_text((folder / name).read_text(encoding="utf-8") + "z z\n", encoding="utf-8")
    assert model_hash(folder) != before


def test_the_hash_of_a_folder_covers_what_its_tokenizer_is_built_by(checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "model"))
    before, path = model_hash(folder), folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**settings, "is_local": True}), encoding="utf-8")
    assert model_hash(folder) == before
    path.write_text(json.dumps({**settings, "do_lower_case": False}), encoding="utf-8")
    assert model_hash(folder) != before


@pytest.mark.parametrize("half_precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("key", ["dtype", "torch_dtype"])
def test_a_half_precision_checkpoint_is_loaded_and_pruned_in_full(
    half_precision: str, key: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "model"))
    kind = getattr(torch, half_precision)
    weights = {name: weight.to(kind) for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    change_config(folder, ("dtype",), **{key: half_precision})
    model = load(folder)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    with torch.no_grad():
        model.classifier.weight += 1e-6
    cut(model, random_masks(model))
    again = load(save(model, folder, tmp_path / "pruned"))
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    assert_same(again, model)
    assert "float32" in (tmp_path / "pruned" / "config.json").read_text()
