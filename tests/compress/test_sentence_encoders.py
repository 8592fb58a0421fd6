"""Which encoder of a folder is used, and when the modules of sentence-transformers count."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import make_family, make_tokenizer
from sentence_folders import TEXTS, export, make_folder, theirs, write

import edgebert
from edgebert.cli import main
from edgebert.compress.inferred import Asked, infer
from edgebert.compress.sentence_folder import encoder_folder, read_sentence_folder
from edgebert.compress.stated import say_unread_settings

SETTINGS = {"max_seq_length": 5, "do_lower_case": True}


def test_the_encoder_may_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", {"pooling_mode_cls_token": True})
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write(folder / "modules.json", modules)
    (folder / "0_Transformer").mkdir()
    for path in [path for path in folder.iterdir() if path.is_file() and path.name != "modules.json"]:
        path.rename(folder / "0_Transformer" / path.name)
    assert encoder_folder(folder) == folder / "0_Transformer"
    found = read_sentence_folder(folder)
    assert found is not None
    assert found.pooling == "cls"
    # Another model beside modules.json is not what it names.
    make_family(folder, "bert", head="", seed=9)
    write(folder / "sentence_bert_config.json", {"max_seq_length": 5})
    assert encoder_folder(folder) == folder / "0_Transformer"
    assert read_sentence_folder(folder) == found
    assert longest(folder) == 64


@pytest.mark.slow
def test_a_bundle_is_of_the_encoder_that_modules_name(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model", {"pooling_mode_mean_tokens": True})
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    write(folder / "modules.json", modules)
    make_family(folder / "0_Transformer", "bert", head="", seed=9, num_hidden_layers=1)
    model = export(folder, tmp_path)
    assert np.abs(model.embed(TEXTS[:4]) - theirs(folder, TEXTS[:4])).max() < 1e-5


def longest(folder: Path, task: str = "") -> int:
    return infer(str(folder), folder, Asked(task=task), "texts.jsonl").recipe.data.max_length


def test_settings_count_through_modules_alone(tmp_path: Path) -> None:
    folder = make_family(tmp_path / "model", "bert", num_labels=1)
    write(folder / "sentence_bert_config.json", SETTINGS | {"max_seq_length": 10})
    assert [longest(folder, task) for task in ("", "similarity", "fill-mask")] == [64, 64, 64]
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder / "tokenizer_config.json", tokenizer | {"model_max_length": 20})
    assert longest(folder) == 20
    # A cross-encoder from before version 6 has no modules.json either.
    config = json.loads((folder / "config.json").read_text())
    write(folder / "config.json", config | {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"})
    assert longest(folder) == 20
    write(folder / "modules.json", [{"name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])
    write(folder / "config_sentence_transformers.json", {"model_type": "CrossEncoder"})
    assert [longest(folder, task) for task in ("", "text-classification", "fill-mask")] == [10, 10, 20]


def test_of_settings_that_do_not_count_a_line_tells(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgebert")
    write(tmp_path / "sentence_bert_config.json", {"max_seq_length": None, "do_lower_case": False})
    say_unread_settings(tmp_path)
    assert not caplog.messages
    write(tmp_path / "sentence_bert_config.json", SETTINGS)
    say_unread_settings(tmp_path)
    path = tmp_path / "sentence_bert_config.json"
    assert caplog.messages[0].startswith(f"{path}: no effect here: max_seq_length, do_lower_case; sentence-")


@pytest.mark.slow
def test_a_classifier_goes_without_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tokenizer = transformers.BertTokenizer(vocab=make_tokenizer("bert").get_vocab(), do_lower_case=False)
    folder = make_family(tmp_path / "model", "bert", num_labels=3, num_hidden_layers=1, tokenizer=tokenizer)
    write(folder / "sentence_bert_config.json", SETTINGS)
    assert main(["export", str(folder), "--out", str(tmp_path / "b"), "--precision", "fp32"]) == 0
    assert f"{folder / 'sentence_bert_config.json'}: no effect here: max_seq_length, " in capsys.readouterr().err
    texts = ["The Story was lovely", "a WARM meal and a good film and a cold one"]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        right = [model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0].numpy() for text in texts]
    answers = edgebert.load(tmp_path / "b")(texts)
    assert np.abs(np.array([list(answer.scores.values()) for answer in answers]) - right).max() < 1e-5
