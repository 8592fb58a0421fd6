"""Read the file of texts that an export without a recipe is given, before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgebert.data.columns import Columns
from edgebert.data.examples import read_by_first, read_examples
from edgebert.errors import DataError, MissingColumnError
from edgebert.recipe import Recipe
from edgebert.tasks.table import spec_of


def check_texts(path: Path, recipe: Recipe) -> None:
    """Refuse a file that holds no texts for the recipe's task.

    Raises:
        DataError: It is missing or empty, or has no column of texts; the message says how to name it.
    """
    data, keys = recipe.data, spec_of(recipe.task).input_keys
    own = [Columns(*keys, "", skip_empty=data.skip_empty)] if keys else []
    named = replace(data.columns(), label="")
    try:
        rows = read_by_first([named, *own], lambda columns: read_examples(path, columns))
    except MissingColumnError as error:
        key = "data.text_pair" if error.column == data.text_pair else "data.text"
        raise DataError(f"{error}; name the column of the texts: --set {key}=COLUMN") from None
    if not rows:
        raise DataError(f"{path}: no text; give at least one")
