"""Read which activation a cross-encoder of sentence-transformers puts over the outputs of its head."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import Recipe

# Before version 4 of sentence-transformers, and since.
OLD_ENTRY, TABLE, ENTRY = "sbert_ce_default_activation_function", "sentence_transformers", "activation_fn"
# What each task computes from a head's outputs by itself.
ALLOWED = {
    "regression": ("Sigmoid", "Identity"),
    "text-classification": ("Softmax", "Identity"),
    "multi-label": ("Sigmoid", "Identity"),
}


def with_activation(recipe: Recipe, folder: Path) -> Recipe:
    """A recipe that gives scores as the cross-encoder in `folder` does; any other one as it is.

    Scores of a head that was not trained on a range are never clipped to one.

    Raises:
        CheckpointError: An activation that the task cannot compute.
        SettingsError: The recipe asks for another activation than the folder.
    """
    path = folder / "config.json"
    name = _activation(path) if recipe.task in ALLOWED and path.is_file() else None
    if name is None:
        return recipe
    if name not in ALLOWED[recipe.task]:
        raise CheckpointError(
            f"{path}: the cross-encoder's activation is {name!r}, which task {recipe.task!r} does not compute; "
            f"expected {' or '.join(ALLOWED[recipe.task])}{_other_task(recipe.task, name)}"
        )
    if recipe.task != "regression":
        return recipe
    activation = "sigmoid" if name == "Sigmoid" else "none"
    if recipe.head.get("activation", activation) != activation:
        raise SettingsError(
            f"head.activation is {recipe.head['activation']!r}, but the cross-encoder's is {activation!r} ({path}); "
            "leave it out"
        )
    return replace(recipe, head={"activation": activation, "clip": False} | recipe.head)


def _activation(path: Path) -> str | None:
    """Class name of the activation that a config names; None if it names none."""
    try:
        config: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return None  # refused by name when the folder is checked
    table = config.get(TABLE) if isinstance(config, Mapping) else None
    named = table.get(ENTRY) if isinstance(table, Mapping) else None
    named = named or (config.get(OLD_ENTRY) if isinstance(config, Mapping) else None)
    return str(named).rpartition(".")[2] if named else None


def _other_task(task: str, name: str) -> str:
    fitting = [other for other, names in ALLOWED.items() if name in names and other != task]
    return f"; task {' or '.join(map(repr, fitting))} computes it" if fitting else ""
