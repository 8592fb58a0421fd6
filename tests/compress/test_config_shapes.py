"""Sizes in `config.json` that differ from the weights are refused before a model of these sizes is built."""

import shutil
from pathlib import Path

import pytest
import torch
import transformers
from family_checkpoints import FAMILIES
from family_models import change_config

from edgebert.compress import arch, checkpoint
from edgebert.compress.families import family_named
from edgebert.compress.low_rank import factor_table
from edgebert.errors import CheckpointError

TABLE = {"electra": "embedding_size", "albert": "embedding_size", "mobilebert": "embedding_size"}
WITHOUT_POSITIONS = ("modernbert", "deberta-v2", "deberta")
TASK = "text-classification"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("names", "value", "weight"),
    [
        ({"": "vocab_size"}, 5_000_000, "WORDS.weight"),
        ({"distilbert": "dim", "": "hidden_size"}, 4096, "weight"),
        (TABLE | {"distilbert": "dim", "": "hidden_size"}, 4096, "WORDS.weight"),
        ({"distilbert": "hidden_dim", "": "intermediate_size"}, 900_000, ".0."),
        ({"": "max_position_embeddings"}, 1_000_000, "embeddings.position_embeddings.weight"),
    ],
)
def test_a_size_that_the_weights_do_not_have_is_refused_by_name(
    family: str, names: dict[str, str], value: int, weight: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder, entry = Path(shutil.copytree(folders[family], tmp_path / "model")), names.get(family, names[""])
    if entry == "max_position_embeddings" and family in WITHOUT_POSITIONS:
        pytest.skip("positions have no table")
    change_config(folder, **{entry: value})
    with pytest.raises(CheckpointError) as caught:
        checkpoint.check_folder(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'config.json'}: {entry} is {value}, but {family_named(family).prefix}.")
    assert weight.replace("WORDS", family_named(family).words) in message
    assert message.endswith("; correct the entry, or save config and weights together with save_pretrained")


@pytest.mark.parametrize("family", FAMILIES)
def test_more_layers_than_the_weights_have_are_refused(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(folders[family], tmp_path / "model"))
    entry = "n_layers" if family == "distilbert" else "num_hidden_layers"
    if family == "albert":
        pytest.skip("one layer's weights serve any number")
    change_config(folder, drop=("layer_types",), **{entry: 900})
    with pytest.raises(CheckpointError, match=f"{entry} is 900, but the weights have 3; correct the entry"):
        checkpoint.check_folder(folder)
    change_config(folder, **{entry: 2})
    checkpoint.check_folder(folder)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_as_transformers_saves_it_passes_with_and_without_a_head(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    checkpoint.check_folder(folders[family])
    bare = Path(shutil.copytree(folders[family], tmp_path / "bare"))
    transformers.AutoModel.from_pretrained(bare).save_pretrained(bare)
    checkpoint.check_folder(bare)


def test_a_pruned_folder_with_a_table_of_low_rank_passes(folders: dict[str, Path], tmp_path: Path) -> None:
    model = checkpoint.load_model(folders["bert"], TASK, ["a", "b"])
    with torch.no_grad():
        arch.resize_layers(model, [arch.LayerShape(2, 24), arch.LayerShape(4, 64), arch.LayerShape(1, 8)])
        factor_table(model, 8)
    checkpoint.save_model(model, checkpoint.load_tokenizer(folders["bert"]), tmp_path / "small")
    checkpoint.check_folder(tmp_path / "small")
    change_config(tmp_path / "small", edgebert_embedding_rank=9_000)
    with pytest.raises(CheckpointError, match=r"edgebert_embedding_rank is 9000, but .*table\.weight has the shape"):
        checkpoint.check_folder(tmp_path / "small")


@pytest.mark.parametrize("value", [-1, 10**9, "two"])
def test_a_number_of_labels_that_no_head_has_is_refused(
    value: object, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["bert"], tmp_path / "model"))
    change_config(folder, num_labels=value)
    with pytest.raises(CheckpointError, match=r"num_labels is .*; expected a whole number from 0 to 100000"):
        checkpoint.check_folder(folder)
