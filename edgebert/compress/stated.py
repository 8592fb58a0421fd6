"""Add to a recipe what its checkpoint states."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.compress import checkpoint, distributed
from edgebert.compress.cross_encoder import cut_as_folder, with_activation
from edgebert.compress.encoder_settings import unread_settings
from edgebert.compress.head_tags import own_scheme, written_plainly
from edgebert.compress.json_file import read_object
from edgebert.compress.labels import names_by_number
from edgebert.compress.sentence_folder import SentenceFolder, differences, with_sentence_settings
from edgebert.compress.sentence_modules import check_steps
from edgebert.errors import SettingsError
from edgebert.recipe import Recipe
from edgebert.settings import fill
from edgebert.strict_json import Json
from edgebert.tasks.regression.spec import Settings
from edgebert.tasks.training_table import training_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LOG = logging.getLogger(__name__)

# Entries of a regression head that define its scores.
SCORE_ENTRIES = frozenset(("low", "high", "output", "clip"))


def as_folder_says(recipe: Recipe, folder: Path, found: SentenceFolder | None) -> Recipe:
    """Add the settings of a sentence-transformers folder or cross-encoder that the recipe does not state itself."""
    if found is None:
        retrained = recipe.finetune is not None and recipe.finetune.when == "always"
        return recipe if retrained else with_activation(recipe, folder)
    if distributed.is_main():
        for sentence in differences(recipe, found):
            LOG.warning("%s: %s", folder, sentence)
    return with_sentence_settings(recipe, found)


def as_long_as_trained(recipe: Recipe, folder: Path, head: list[str] | None, with_settings: bool = False) -> Recipe:
    """Truncate texts at the length of transformers' pipelines, if the checkpoint's own head is kept.

    Question answering uses windows and truncates nothing. `with_settings`: see `counts_settings`.
    """
    kept = recipe.finetune is None or head is not None
    return cut_as_folder(recipe, folder, with_settings) if kept and recipe.task != "question-answering" else recipe


def say_unread_settings(encoder: Path) -> None:
    """Report settings of sentence-transformers that do not apply here."""
    if distributed.is_main() and (said := unread_settings(encoder)):
        LOG.info("%s", said)


def vector_width(folder: Path, recipe: Recipe, found: SentenceFolder) -> int:
    """Width of an embedding after the folder's modules.

    Raises:
        CheckpointError: The modules do not fit each other or the pooling.
        SettingsError: The recipe narrows the student, whose vectors would not fit the modules.
    """
    config = checkpoint.load_config(folder)
    narrower = recipe.distill.hidden_size if recipe.distill else 0
    if narrower not in (0, config.hidden_size):
        raise SettingsError(
            f"distill.hidden_size is {narrower}: the checkpoint's modules after the pooling ({found.steps[0]}) need "
            f"its own width, {config.hidden_size}; leave it out and keep fewer layers"
        )
    pooled = training_task(recipe.task, recipe.head).pooled_width(int(config.hidden_size))
    return check_steps(found.steps, found.places, pooled)


def as_numbered(recipe: Recipe, head: list[str]) -> tuple[Recipe, list[str]]:
    """Rename a recipe's and a head's labels if the recipe or `--labels` names outputs by number.

    Raises:
        SettingsError: As `names_by_number`.
    """
    names = names_by_number(recipe.data.label_names, head)
    if not names:
        return recipe, head
    return replace(recipe, data=replace(recipe.data, label_names={})), names


def as_head_says(recipe: Recipe, head: list[str], folder: Path, tokenizer: PreTrainedTokenizerFast) -> Recipe:
    """Add to a recipe what the checkpoint's own head states."""
    say_unmarked_score(recipe, folder, head)
    say_unnamed(folder, head)
    if recipe.task == "regression":
        return with_own_score(recipe, head, folder)
    if recipe.task != "token-classification":
        return recipe
    return with_scheme(with_spaces(recipe, folder, tokenizer), head, folder)


def say_unmarked_score(recipe: Recipe, folder: Path, head: list[str]) -> None:
    """Report how a head with one output is read if neither folder nor recipe states an activation.

    Without `problem_type`, transformers trains such a head as a regression, but its pipeline applies a sigmoid, and so
    does sentence-transformers.
    """
    unmarked = read_object(folder / "config.json").get("problem_type") is None and "activation" not in recipe.head
    if recipe.task != "regression" or len(head) != 1 or not unmarked or not distributed.is_main():
        return
    settings = fill(Settings, with_own_score(recipe, head, folder).head, recipe.name, "head.")
    is_scaled = settings.output == "scaled" and (settings.low, settings.high) != (0, 1)
    scaled = f", from 0..1 scaled to {settings.range}" if is_scaled else ""
    clipped = f", clipped to {settings.range}" if settings.clip else ""
    LOG.warning(
        f"{folder / 'config.json'}: the head has one output, and neither problem_type nor an activation is stated: "
        f"the score is the logit{scaled}{clipped}; for the sigmoid that transformers' text-classification pipeline "
        f"applies, set head.activation to 'sigmoid' (--set head.activation=sigmoid); 'none' confirms that there is none"
    )


def with_own_score(recipe: Recipe, head: list[str], folder: Path) -> Recipe:
    """Do not clip the score of a checkpoint's own head, unless the recipe states the scores.

    transformers trains a head with one output as a regression even if `problem_type` is absent.
    """
    is_own = len(head) == 1 and read_object(folder / "config.json").get("problem_type") in (None, "regression")
    if not is_own or not SCORE_ENTRIES.isdisjoint(recipe.head):
        return recipe
    return replace(recipe, head={"clip": False} | recipe.head)


def say_unnamed(folder: Path, head: list[str]) -> None:
    """Report outputs that the config leaves without a name, if it names others."""
    path = folder / "config.json"
    named = read_object(path).get("id2label")
    stated = (
        {int(number) for number, name in named.items() if name is not None} if isinstance(named, Mapping) else set()
    )
    unnamed = [at for at, name in enumerate(head) if at not in stated and name == f"LABEL_{at}"]
    if stated and unnamed and distributed.is_main():
        LOG.warning(
            f"{path}: id2label names {len(stated)} of the head's {len(head)} outputs; output {unnamed[0]} is called "
            f"{head[unnamed[0]]}; name it there, with --labels, or in data.label_names"
        )


def with_scheme(recipe: Recipe, head: list[str], folder: Path) -> Recipe:
    """Add the scheme of a tagger's own tags, unless the recipe states one."""
    stated = str(recipe.head.get("scheme", ""))
    tags = written_plainly(head, recipe.data.label_names, stated)
    scheme = own_scheme(tags, read_object(folder / "config.json"))
    if scheme is None:
        return recipe
    return replace(recipe, head={"scheme": scheme} | recipe.head)


def with_spaces(recipe: Recipe, folder: Path, tokenizer: PreTrainedTokenizerFast) -> Recipe:
    """Encode words and raw texts as transformers does for a tagger's own head, unless the recipe states how.

    transformers' pipeline encodes a raw text in one call. If the recipe puts a space before every word and the
    tokenizer does not, a raw text is encoded word by word, since its first word has no space before it.
    """
    splitter = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"]
    if not _adds_no_space(splitter):
        return replace(recipe, head={"whole_texts": True} | recipe.head)
    if "spaced_words" in recipe.head:
        return replace(recipe, head={"whole_texts": not recipe.head["spaced_words"]} | recipe.head)
    if distributed.is_main():
        LOG.warning(
            f"{folder}: the tokenizer is byte-level and puts no space before a word (add_prefix_space is not "
            "true); words are encoded as they are, as transformers does with is_split_into_words=True, and raw texts "
            "in one piece; if the head was trained with a space before every word, set head.spaced_words = true"
        )
    return replace(recipe, head={"spaced_words": False, "whole_texts": True} | recipe.head)


def _adds_no_space(splitter: Json) -> bool:
    """Whether a pre-tokenizer (perhaps a sequence) is byte-level and adds no space before a word."""
    if not isinstance(splitter, dict):
        return False
    if splitter["type"] == "ByteLevel":
        return not splitter["add_prefix_space"]
    several = splitter.get("pretokenizers")
    return any(map(_adds_no_space, several if isinstance(several, list) else []))
