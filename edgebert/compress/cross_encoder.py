"""Read which activation a sentence-transformers cross-encoder applies to its head's outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from edgebert.compress.encoder_settings import SCORES, check_encoder_settings, longest_input
from edgebert.compress.json_file import whole
from edgebert.compress.sentence_folder import MODULES, SETTINGS, encoder_folder, module_kinds
from edgebert.compress.sentence_modules import read_object
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import Recipe
from edgebert.strict_json import Json

LOG = logging.getLogger(__name__)

# Where the activation is named: by version 6, by versions 4 and 5, and by older versions.
ENTRY, TABLE, OLD_ENTRY = "activation_fn", "sentence_transformers", "sbert_ce_default_activation_function"
KIND = "CrossEncoder"
# Activations that each task can compute, by the name of its head.activation; a task without an entry computes none.
ALLOWED = {
    "regression": {"Sigmoid": "sigmoid", "Identity": "none"},
    "rerank": {"Sigmoid": "sigmoid", "Identity": "none"},
    "text-classification": {"Softmax": "softmax", "Identity": "none"},
    "multi-label": {"Sigmoid": ""},
}


def with_activation(recipe: Recipe, folder: Path) -> Recipe:
    """Return a recipe whose scores match the cross-encoder in `folder`; other recipes are unchanged.

    Scores are not clipped if the head was not trained on a range. Pairs are truncated at the cross-encoder's length.

    Raises:
        CheckpointError: The task cannot compute the activation, or a bundle cannot do a module or prompt.
        SettingsError: The recipe asks for another activation than the folder.
    """
    if recipe.task not in ALLOWED:
        return recipe
    path, name = activation_of(folder)
    if name is None:
        return recipe
    if name not in ALLOWED[recipe.task]:
        raise CheckpointError(
            f"{path}: the cross-encoder's activation is {name!r}, which task {recipe.task!r} does not compute; "
            f"expected {' or '.join(ALLOWED[recipe.task])}{_other_task(recipe.task, name)}"
        )
    if reads_settings(folder):
        _check_folder(folder)
    else:
        _say_unread(folder)
    recipe = cut_as_folder(recipe, folder, counts_settings(folder, recipe.task))
    activation = ALLOWED[recipe.task][name]
    if not activation:
        return recipe
    stated = recipe.head.get("activation", activation)
    # Probabilities for a folder without an activation: the result of `predict(apply_softmax=True)`.
    if stated != activation and stated != "softmax":
        raise SettingsError(
            f"head.activation is {recipe.head['activation']!r}, but the cross-encoder's is {activation!r} ({path}); "
            "leave it out"
        )
    unclipped = {"clip": False} if recipe.task == "regression" else {}
    return replace(recipe, head={"activation": activation, **unclipped} | recipe.head)


def is_cross_encoder(folder: Path) -> bool:
    """Whether sentence-transformers saved a folder as a cross-encoder, which scores pairs."""
    return activation_of(folder)[1] is not None


def activation_of(folder: Path) -> tuple[Path, str | None]:
    """Return the activation's class name and the file that names it; None if the folder is no cross-encoder.

    If `modules.json` pools the encoder's rows, a cross-encoder entry in the config is a leftover of an earlier
    training.
    """
    settings, config_path = read_object(folder / SETTINGS), encoder_folder(folder) / "config.json"
    is_known = settings.get("model_type") == KIND
    config = _object_or_empty(config_path)
    if not is_known and (folder / MODULES).is_file() and any(kind == "Pooling" for kind, _ in module_kinds(folder)):
        return config_path, None
    table = config.get(TABLE)
    found = [(folder / SETTINGS, settings.get(ENTRY) if reads_settings(folder) else None)]
    if isinstance(table, Mapping) and ENTRY in table:
        found.append((config_path, table[ENTRY]))
    else:
        found.append((config_path, config.get(OLD_ENTRY)))
    path, named = next(((path, named) for path, named in found if named), (config_path, None))
    if named is None:
        # The library does the same for a head with one output.
        return folder / SETTINGS, ("Sigmoid" if head_outputs(config) == 1 else "Identity") if is_known else None
    package, _, name = str(named).rpartition(".")
    return path, name if package.partition(".")[0] == "torch" else str(named)


def reads_settings(folder: Path) -> bool:
    """Whether the library reads the files beside a cross-encoder.

    It does so only through a `modules.json` of its own kind.
    """
    return (folder / MODULES).is_file() and read_object(folder / SETTINGS).get("model_type") == KIND


def _say_unread(folder: Path) -> None:
    """Report settings of a folder that have no effect because `modules.json` is missing."""
    settings = read_object(folder / SETTINGS)
    stated = [name for name in (ENTRY, "default_prompt_name") if settings.get(name)]
    if stated and not (folder / MODULES).is_file():
        LOG.warning(
            f"{folder / SETTINGS}: no effect here: {', '.join(stated)}; sentence-transformers reads the file only "
            f"through {MODULES}, which is missing: copy the whole folder if it had one"
        )


def _object_or_empty(path: Path) -> Mapping[str, Json]:
    """Read a config; return an empty one if it cannot be read, which is reported when the folder is checked."""
    try:
        return read_object(path)
    except CheckpointError:
        return {}


def head_outputs(config: Mapping[str, Json]) -> int:
    """Number of a head's outputs; two if the config does not say, as in transformers."""
    names = config.get("id2label")
    return len(names) if isinstance(names, Mapping) else whole(config, "num_labels", 2) or 2


def _check_folder(folder: Path) -> None:
    """Refuse files beside a version 6 cross-encoder other than its model and activation."""
    for kind, place in module_kinds(folder):
        if kind != "Transformer":
            raise CheckpointError(
                f"{folder / MODULES}: module {kind} ({place.name}) of a cross-encoder cannot be exported; "
                "supported: Transformer with a head for sequence classification"
            )
    check_encoder_settings(encoder_folder(folder), SCORES)
    settings = read_object(folder / SETTINGS)
    default, prompts = settings.get("default_prompt_name"), settings.get("prompts") or {}
    if default and (not isinstance(prompts, Mapping) or prompts.get(str(default))):
        raise CheckpointError(
            f"{folder / SETTINGS}: default_prompt_name is {default!r:.40}; a bundle puts no prompt before a pair: set "
            "it to null"
        )


def counts_settings(folder: Path, task: str) -> bool:
    """Whether settings that sentence-transformers saved beside the encoder (`encoder_settings`) apply to this task."""
    if not (folder / MODULES).is_file():
        return False
    return task == "similarity" or (task in ALLOWED and reads_settings(folder) and is_cross_encoder(folder))


def cut_as_folder(recipe: Recipe, folder: Path, with_settings: bool) -> Recipe:
    """Return a recipe whose longest input is at most that of the tokenizer's files and the settings that apply."""
    longest, length = longest_input(encoder_folder(folder), with_settings), recipe.data.max_length
    if longest is None or longest >= length:
        return recipe
    LOG.warning(
        f"{folder}: texts are cut to {longest} tokens, the folder's longest input, not to the recipe's {length}"
    )
    return replace(recipe, data=replace(recipe.data, max_length=longest))


def _other_task(task: str, name: str) -> str:
    fitting = [other for other, names in ALLOWED.items() if name in names and other != task]
    return f"; task {' or '.join(map(repr, fitting))} computes it" if fitting else ""
