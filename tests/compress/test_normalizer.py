"""`tokenizer.json` defines the normalization of text; a contradicting `tokenizer_config.json` is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer

from edgebert.cli import main
from edgebert.compress import checkpoint
from edgebert.errors import CheckpointError

TEXTS = ["A GOOD Film", "café was Wärm", "good 日本 film", "a good film"]


@pytest.fixture
def folder(shallow_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shallow_checkpoint, tmp_path / "model"))


def state(folder: Path, in_config: dict[str, Any], in_json: dict[str, Any]) -> None:
    """Write settings into both files; a setting that is ... is taken out of `tokenizer_config.json`."""
    for name, inside, settings in (
        ("tokenizer_config.json", None, in_config),
        ("tokenizer.json", "normalizer", in_json),
    ):
        document = json.loads((folder / name).read_text())
        part = document[inside] if inside else document
        part |= settings
        for key in [key for key, value in part.items() if value is ...]:
            del part[key]
        (folder / name).write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("in_config", "in_json", "says"),
    [
        ({"do_lower_case": False}, {}, "lowercase is true in tokenizer.json, but do_lower_case is false in tokenizer_"),
        ({"do_lower_case": True}, {"lowercase": False}, "lowercase is false in tokenizer.json, but do_lower_case is"),
        ({"strip_accents": False}, {}, "strip_accents is null in tokenizer.json, but strip_accents is false in"),
        ({"tokenize_chinese_chars": False}, {}, "handle_chinese_chars is true in tokenizer.json, but tokenize_chinese"),
    ],
)
def test_two_files_that_disagree_are_refused_with_both_values(
    in_config: dict[str, Any], in_json: dict[str, Any], says: str, folder: Path
) -> None:
    state(folder, in_config, in_json)
    for refused in (checkpoint.check_folder, checkpoint.load_tokenizer):
        with pytest.raises(CheckpointError, match=says) as caught:
            refused(folder)
        assert "set both to what the model was trained with" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_export_is_refused_before_any_work(
    folder: Path, data_dir: Path, recipe_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state(folder, {"do_lower_case": False}, {})
    command = ["export", str(recipe_file), "--data-dir", str(data_dir), "--model", str(folder)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    assert "do_lower_case is false in tokenizer_config.json" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "out.work").exists() or not list((tmp_path / "out.work").glob("*-*"))


@pytest.mark.parametrize(
    "in_json",
    [
        {},
        {"lowercase": False},
        {"strip_accents": False},
        {"lowercase": False, "strip_accents": True},
        {"handle_chinese_chars": False},
    ],
)
def test_where_the_config_says_nothing_the_ids_are_those_of_tokenizer_json(
    in_json: dict[str, Any], folder: Path, tmp_path: Path
) -> None:
    names = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
    state(folder, dict.fromkeys(names, ...), in_json)
    expected = [Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids for text in TEXTS]
    checkpoint.check_folder(folder)
    checkpoint.take_over(folder, "fill-mask", [], tmp_path / "taken")
    for each in (folder, tmp_path / "taken"):
        assert [checkpoint.load_tokenizer(each)(text).input_ids for text in TEXTS] == expected
    saved = Tokenizer.from_file(str(tmp_path / "taken" / "tokenizer.json"))
    assert [saved.encode(text).ids for text in TEXTS] == expected


SAID = "normalizer of the file differs from what transformers"


@pytest.mark.parametrize("class_", ["BertTokenizer", "PreTrainedTokenizerFast"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_a_normalizer_that_transformers_would_not_build_is_said_once(
    class_: str, lowercase: bool, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
    state(folder, dict.fromkeys(names, ...) | {"tokenizer_class": class_}, {"lowercase": lowercase})
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = checkpoint.load_tokenizer(folder)
    differs = [theirs(text).input_ids for text in TEXTS] != [ours(text).input_ids for text in TEXTS]
    assert differs == (class_ == "BertTokenizer" and not lowercase)
    assert len([line for line in caplog.messages if SAID in line]) == differs
    checkpoint.take_over(folder, "fill-mask", [], tmp_path / "taken")
    caplog.clear()
    checkpoint.load_tokenizer(tmp_path / "taken")
    assert not caplog.messages


def test_a_normalizer_inside_a_sequence_is_held_to_the_settings_too(folder: Path) -> None:
    document = json.loads((folder / "tokenizer.json").read_text())
    inside = document["normalizer"] | {"lowercase": False}
    document["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "NFC"}, inside]}
    (folder / "tokenizer.json").write_text(json.dumps(document))
    state_config = json.loads((folder / "tokenizer_config.json").read_text()) | {"do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(state_config))
    with pytest.raises(CheckpointError, match=r"lowercase is false in tokenizer\.json, but do_lower_case is true"):
        checkpoint.check_folder(folder)
