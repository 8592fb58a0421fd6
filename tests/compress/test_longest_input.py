"""A checkpoint's own head truncates texts at the length in its tokenizer's files."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgebert.compress.encoder_settings import longest_input
from edgebert.compress.stated import as_long_as_trained
from edgebert.errors import CheckpointError
from edgebert.recipe import DataSettings, FinetuneSettings, ModelSettings, Recipe

LABELS = ["a", "b"]


@pytest.mark.parametrize(
    ("task", "finetune", "head", "length"),
    [
        ("text-classification", None, LABELS, 20),
        ("token-classification", None, LABELS, 20),
        ("fill-mask", None, None, 20),
        ("text-classification", FinetuneSettings(), LABELS, 20),
        # A new head learns with the recipe's length; answers are looked for in windows.
        ("text-classification", FinetuneSettings(), None, 32),
        ("question-answering", None, None, 32),
    ],
)
def test_texts_are_cut_at_the_tokenizers_length(
    task: str,
    finetune: FinetuneSettings | None,
    head: list[str] | None,
    length: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 20}))
    recipe = Recipe("r", task, ModelSettings("m"), data=DataSettings(max_length=32), finetune=finetune)
    assert as_long_as_trained(recipe, tmp_path, head).data.max_length == length
    said = f"{tmp_path}: texts are cut to 20 tokens, the folder's longest input, not to the recipe's 32"
    assert (said in capsys.readouterr().err) == (length == 20)


@pytest.mark.parametrize(
    ("name", "entry"), [("tokenizer_config.json", "model_max_length"), ("sentence_bert_config.json", "max_seq_length")]
)
def test_a_length_below_that_of_any_recipe_is_refused_by_file_and_entry(name: str, entry: str, tmp_path: Path) -> None:
    for length in (1, 7):
        (tmp_path / name).write_text(json.dumps({entry: length}))
        with pytest.raises(CheckpointError) as refusal:
            longest_input(tmp_path, with_settings=True)
        assert str(refusal.value).startswith(f"{tmp_path / name}: {entry} is {length}, but the longest input of a")
    (tmp_path / name).write_text(json.dumps({entry: 8}))
    assert longest_input(tmp_path, with_settings=True) == 8


@pytest.mark.parametrize("stated", [{}, {"model_max_length": int(1e30)}, {"model_max_length": 64}])
def test_a_longer_limit_or_none_leaves_the_recipes(stated: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(stated))
    recipe = Recipe("r", "text-classification", ModelSettings("m"), data=DataSettings(max_length=32))
    assert as_long_as_trained(recipe, tmp_path, LABELS) is recipe
