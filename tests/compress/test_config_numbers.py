"""Values in `config.json` that are impossible for a model are refused before a model is built."""

import shutil
from pathlib import Path

import pytest
from family_checkpoints import COUNT_PADDING, FAMILIES
from family_models import change_config

from edgebert.compress import checkpoint
from edgebert.compress.config_entries import check_config
from edgebert.errors import CheckpointError

TASK = "text-classification"
LAYERS = {"distilbert": "n_layers"}
WIDTH = {"distilbert": "dim"}
HEADS = {"distilbert": "n_heads"}
ACTIVATION = {"distilbert": "activation"}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("names", "value", "expected"),
    [
        (LAYERS | {"": "num_hidden_layers"}, 10**9, "a whole number from 1 to 1000"),
        (LAYERS | {"": "num_hidden_layers"}, -1, "a whole number from 1"),
        (LAYERS | {"": "num_hidden_layers"}, None, "a whole number from 1"),
        (WIDTH | {"": "hidden_size"}, -32, "a whole number from 1"),
        (WIDTH | {"": "hidden_size"}, 32.0, "a whole number from 1"),
        (HEADS | {"": "num_attention_heads"}, 0, "a whole number from 1"),
        (HEADS | {"": "num_attention_heads"}, True, "a whole number from 1"),
        (HEADS | {"": "num_attention_heads"}, 7, "a divisor of"),
        (ACTIVATION | {"": "hidden_act"}, "gleu", "an activation of transformers"),
        (ACTIVATION | {"": "hidden_act"}, ["gelu"], "an activation of transformers"),
        ({"": "vocab_size"}, 10**12, "a whole number from 1 to 10000000"),
        ({"": "max_position_embeddings"}, 0, "a whole number from 1"),
        ({"": "pad_token_id"}, 10**9, "an id of the vocabulary, from 0 to"),
        ({"": "pad_token_id"}, "0", "an id of the vocabulary"),
        ({"": "layer_norm_eps"}, -1, "a number above 0"),
        ({"distilbert": "dropout", "": "hidden_dropout_prob"}, 1.5, "a number from 0 to 1"),
    ],
)
def test_an_entry_that_no_model_has_is_refused_by_name(
    family: str, names: dict[str, str], value: object, expected: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, entry = Path(shutil.copytree(folders[family], tmp_path / "model")), names.get(family, names[""])
    change_config(folder, **{entry: value})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.check_folder(folder)
    assert str(caught.value).startswith(f"{folder / 'config.json'}: {entry} is {value!r}; expected {expected}")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("entries", [{"pad_token_id": None}, {"classifier_dropout": None}, {"layer_norm_eps": 1e-5}])
def test_entries_that_a_model_may_have_pass(
    family: str, entries: dict[str, object], folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    if family in COUNT_PADDING:  # which count positions from the padding id
        entries = {name: value for name, value in entries.items() if name != "pad_token_id"}
    change_config(folder, **entries)
    checkpoint.check_folder(folder)


@pytest.mark.parametrize("value", [["bert"], {"a": 1}, 7])
def test_a_model_type_that_is_no_text_is_refused(value: object, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"model family .* is not supported"):
        check_config(tmp_path, {"model_type": value})


def test_what_no_check_knows_is_still_blamed_on_the_checkpoint(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders["mobilebert"], tmp_path / "model"))
    change_config(folder, normalization_type="other_norm")
    for build in (
        lambda: checkpoint.has_head(folder, TASK, ["a", "b"]),
        lambda: checkpoint.load_model(folder, TASK, []),
    ):
        with pytest.raises(CheckpointError, match=r"do not fit config.json \(.*other_norm"):
            build()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xef\xbb\xbf{}", r"byte-order mark \(BOM\); save it as UTF-8 without one"),
        (b'{"model_type": "bert", "layer_norm_eps": NaN}', "NaN is not a JSON number"),
        (b'{"hidden_size": 1e999}', "the number 1e999 is too large"),
        (b'{"a": 1, "a": 2}', "'a' occurs twice"),
        (b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}", "nested more than 64 deep"),
        (b"\xff\xfe{}", "not UTF-8 text"),
        (b"[]", "not a JSON object but a list"),
    ],
)
def test_a_config_that_is_not_strict_json_is_refused_with_the_reason(
    content: bytes, says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "model"))
    (folder / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)
