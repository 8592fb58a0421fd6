"""Prune attention heads and feed-forward neurons: choose, remove, and save a smaller model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgebert.compress import arch, checkpoint
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.families import families_that
from edgebert.compress.importance import Estimator, Importance, measure_importance
from edgebert.compress.masks import Masks
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.student import cut_linear
from edgebert.errors import SettingsError
from edgebert.recipe import PruneSettings, settings_dict

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

VERSION = 4


def prune(source: Path, data: TaskData, settings: PruneSettings, run: Run, out: Path) -> StageReport:
    """Remove the least important heads and neurons, across all layers, and save the smaller model.

    Args:
        source: Folder of the model to prune.
        data: Labelled examples to measure importance on.
        settings: The recipe's `[prune]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the pruned model, not yet recovered by training.

    Returns:
        The stage's arguments, and the heads and neurons that each layer has left.

    Raises:
        SettingsError: The family cannot be pruned.
    """
    tokenizer = run.loaded.tokenizer(source)
    model = checkpoint.load_model(source, run.task, data.label_names)
    check_prunable(model.config)
    rows = encode_rows(data.train, data, run.encoder(tokenizer, out))
    estimator = Estimator(settings.importance, settings.samples, run.seed)
    scores = measure_importance(model, rows, estimator, data.training_task, tokenizer.pad_token_id)
    masks = choose(scores, settings.head_sparsity, settings.ffn_sparsity, settings.ffn_multiple)
    cut(model, masks)
    checkpoint.save_model(model, tokenizer, out)
    shapes = arch.layer_shapes(model)
    left = {"heads": [shape.heads for shape in shapes], "ffn": [shape.ffn for shape in shapes]}
    arguments = {name: value for name, value in settings_dict(settings).items() if name not in ("recover", "loss")}
    return StageReport("prune", arguments, left)


def choose(scores: Importance, head_sparsity: float, ffn_sparsity: float, ffn_multiple: int = 32) -> Masks:
    """Choose masks that keep the most important parts of the whole model, at least one of each in every layer.

    Args:
        scores: Importance of every head and neuron.
        head_sparsity: Share of all heads to remove.
        ffn_sparsity: Share of all neurons to remove.
        ffn_multiple: Neurons kept in a layer are rounded to a multiple of this, since matrix kernels run fastest then.
    """
    heads = _keep_counts(scores.heads, head_sparsity, 1)
    ffn = _keep_counts(scores.ffn, ffn_sparsity, ffn_multiple)
    return Masks(
        [_top(score, count) for score, count in zip(scores.heads, heads, strict=True)],
        [_top(score, count) for score, count in zip(scores.ffn, ffn, strict=True)],
    )


def cut(model: PreTrainedModel, masks: Masks) -> None:
    """Replace every matrix by the smaller one that the masks leave; outputs are those of the masked model."""
    for layer, heads, ffn in zip(arch.encoder_layers(model), masks.heads, masks.ffn, strict=True):
        parts = arch.layer_parts(layer)
        size = parts.attention.attention_head_size
        rows = (heads[0].nonzero().flatten()[:, None] * size + torch.arange(size)).flatten()
        neurons = ffn[0].nonzero().flatten()
        hidden = torch.arange(parts.query.in_features)
        arch.set_parts(
            layer,
            query=cut_linear(parts.query, rows, hidden),
            key=cut_linear(parts.key, rows, hidden),
            value=cut_linear(parts.value, rows, hidden),
            attention_output=cut_linear(parts.attention_output, hidden, rows),
            ffn_in=cut_linear(parts.ffn_in, neurons, hidden),
            ffn_out=cut_linear(parts.ffn_out, hidden, neurons),
        )
    arch.note_shapes(model)


def check_prunable(config: PreTrainedConfig) -> None:
    """Refuse a family whose layers are not just attention and one feed-forward block.

    Raises:
        SettingsError: Names it, and the families that can be pruned.
    """
    if not arch.family_of(config).standard_layers:
        raise SettingsError(
            f"[prune]: the layers of {config.model_type} models cannot be pruned, only those of "
            f"{families_that(lambda family: family.standard_layers)}; leave the table out and keep fewer layers"
        )


def _keep_counts(scores: list[Tensor], sparsity: float, multiple: int) -> list[int]:
    everything = torch.cat(scores)
    keep = max(1, round(len(everything) * (1 - sparsity)))
    kept = torch.zeros_like(everything, dtype=torch.bool)
    kept[torch.topk(everything, keep).indices] = True
    counts = []
    for part in torch.split(kept, [len(score) for score in scores]):
        step = min(multiple, len(part))
        rounded = round(int(part.sum()) / step) * step
        counts.append(min(len(part), max(step, rounded)))
    return counts


def _top(score: Tensor, count: int) -> Tensor:
    mask = torch.zeros(1, len(score))
    mask[0, torch.topk(score, count).indices] = 1.0
    return mask
