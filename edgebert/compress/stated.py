"""A recipe with what its checkpoint states, and what that means for it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from edgebert.compress import checkpoint, distributed
from edgebert.compress.cross_encoder import with_activation
from edgebert.compress.head_tags import scheme_of, written_plainly
from edgebert.compress.sentence_folder import SentenceFolder, differences, with_sentence_settings
from edgebert.compress.sentence_modules import check_steps
from edgebert.compress.tasks import workstation_half
from edgebert.errors import SettingsError
from edgebert.recipe import Recipe


def as_folder_says(recipe: Recipe, folder: Path, found: SentenceFolder | None) -> Recipe:
    """A recipe with the settings of a sentence-transformers folder or cross-encoder that it does not state itself."""
    if found is None:
        retrained = recipe.finetune is not None and recipe.finetune.when == "always"
        return recipe if retrained else with_activation(recipe, folder)
    if distributed.is_main():
        for sentence in differences(recipe, found):
            sys.stderr.write(f"edgebert: {folder}: {sentence}\n")
    return with_sentence_settings(recipe, found)


def vector_width(folder: Path, recipe: Recipe, found: SentenceFolder) -> int:
    """Numbers of an embedding behind the folder's modules.

    Raises:
        CheckpointError: They do not fit one another, or the pooling.
        SettingsError: The recipe narrows the student, which would leave them nothing to read.
    """
    config = checkpoint.load_config(folder)
    narrower = recipe.distill.hidden_size if recipe.distill else 0
    if narrower not in (0, config.hidden_size):
        raise SettingsError(
            f"distill.hidden_size is {narrower}: the checkpoint's modules behind the pooling ({found.steps[0]}) read "
            f"vectors of its own width, {config.hidden_size}; leave it out and keep fewer layers"
        )
    half = workstation_half(recipe.task, recipe.head)
    return check_steps(found.steps, found.places, half.pooled_width(int(config.hidden_size)))


def with_scheme(recipe: Recipe, head: list[str]) -> Recipe:
    """A recipe with the scheme of a tagger's own tags, unless it states one."""
    scheme = scheme_of(written_plainly(head, recipe.data.label_names))
    return recipe if scheme is None else replace(recipe, head={"scheme": scheme} | recipe.head)
