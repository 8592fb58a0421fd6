"""Check that a checkpoint fits a recipe, before the first stage starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.compress import arch, checkpoint
from edgebert.compress.prune import check_prunable
from edgebert.compress.student import check_layers, check_width
from edgebert.compress.vocabulary import check_vocabulary
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import Recipe
from edgebert.runtimes import FORMATS
from edgebert.tasks.fill_mask.predict import MASK_TOKENS
from edgebert.tasks.training_table import training_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def check_fit(
    folder: Path,
    recipe: Recipe,
    vector_width: int | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
) -> None:
    """Refuse a recipe that asks for something the checkpoint does not have.

    Args:
        folder: The checkpoint.
        recipe: The recipe.
        vector_width: Width of an embedding, if modules after the pooling decide it.
        tokenizer: Its tokenizer, if it has been loaded.

    Raises:
        CheckpointError: A bundle would not find the mask token.
        SettingsError: Texts longer than its positions, layers that it does not have, a head too wide for it, or a
            compression or smoothing that its family does not allow.
    """
    if recipe.task == "fill-mask" and tokenizer is not None:
        check_mask(folder, tokenizer)
    config = checkpoint.load_config(folder)
    longest = arch.longest_input(config)
    if recipe.data.max_length > longest:
        raise SettingsError(
            f"data.max_length is {recipe.data.max_length}, but {folder} has positions for {longest} tokens; "
            f"give at most {longest}"
        )
    if recipe.distill:
        check_layers(config, recipe.distill.layers)
        check_width(config, recipe.distill.hidden_size)
    task = training_task(recipe.task, recipe.head)
    hidden = (recipe.distill and recipe.distill.hidden_size) or config.hidden_size
    task.check_width(vector_width or task.pooled_width(hidden))
    if recipe.prune:
        check_prunable(config)
    if recipe.vocabulary:
        check_vocabulary(folder, recipe, checkpoint.load_tokenizer(folder) if tokenizer is None else tokenizer)
    rewritten = all(FORMATS[name].rewritten_only for name in recipe.export.formats)
    if rewritten and not arch.family_of(config).standard_layers:
        raise SettingsError(
            f"export.formats has only {', '.join(recipe.export.formats)}, which does not run {config.model_type} "
            'layers; set export.formats = ["onnx"]'
        )
    if recipe.quantize.smooth and not arch.family_of(config).standard_layers:
        raise SettingsError(
            f"quantize.smooth is {recipe.quantize.smooth}, but {config.model_type} layers cannot be rewritten or "
            f"smoothed; set quantize.smooth = 0.0"
        )


def check_mask(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse a mask token that differs from the one that a bundle looks up in the vocabulary.

    Raises:
        CheckpointError: Names both tokens.
    """
    vocabulary = tokenizer.get_vocab()
    found = next((token for token in MASK_TOKENS if token in vocabulary), None)
    if tokenizer.mask_token not in (None, found):
        looked = f"uses the vocabulary's {found!r}" if found else f"only knows {' and '.join(MASK_TOKENS)}"
        remedy = "exchange the two names" if found else f"rename the token to {MASK_TOKENS[0]}"
        raise CheckpointError(
            f"{folder / 'tokenizer_config.json'}: mask_token is {tokenizer.mask_token!r:.40}, but a bundle {looked}; "
            f"{remedy} in the tokenizer's files"
        )
