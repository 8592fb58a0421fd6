"""Refuse what an export without a recipe would refuse late, before PyTorch is imported."""

from __future__ import annotations

from pathlib import Path

from edgebert.compress.families import CLASSIFIER_WEIGHTS
from edgebert.compress.inferred import LABELLED
from edgebert.compress.sentence_folder import encoder_folder
from edgebert.compress.weight_paths import weight_shapes
from edgebert.data.empty import without_empty
from edgebert.data.examples import read_texts
from edgebert.errors import CheckpointError, DataError, MissingColumnError
from edgebert.recipe import Recipe
from edgebert.tasks.table import spec_of


def check_early(folder: Path, recipe: Recipe, texts: Path | None) -> None:
    """Check a checkpoint's head, and the user's file of texts if there is one.

    Raises:
        CheckpointError: The checkpoint has no head, and none is trained.
        DataError: The file holds no texts.
    """
    _check_head(folder, recipe)
    if texts is not None and texts.name in recipe.data.unlabelled:
        _check_texts(texts, recipe)


def _check_texts(path: Path, recipe: Recipe) -> None:
    columns = recipe.data.columns()
    try:
        without_empty(path, read_texts(path, columns, spec_of(recipe.task).input_keys))
    except MissingColumnError as error:
        key = "data.text_pair" if error.column == columns.text_pair else "data.text"
        raise DataError(f"{error}; name the column of the texts: --set {key}=COLUMN") from None


def _check_head(folder: Path, recipe: Recipe) -> None:
    """Require any head; what else it may lack is found later."""
    if recipe.finetune is not None or recipe.task not in (*LABELLED, "regression", "rerank"):
        return
    weights = weight_shapes(encoder_folder(folder))
    # A wrapper's weights have a name in front; they are refused as such.
    if weights and not any(name.endswith(CLASSIFIER_WEIGHTS) for name in weights):
        raise CheckpointError(
            f"{folder}: the checkpoint has no head for {recipe.task} (the weights lack {CLASSIFIER_WEIGHTS[0]}); give "
            "a fine-tuned checkpoint, or train the head: a recipe with a [finetune] table"
        )
