"""Estimate the importance of attention heads and FFN neurons from the gradients of their masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from edgebert.compress.batch import model_inputs
from edgebert.compress.data import EncodedRows
from edgebert.compress.masks import masked, ones
from edgebert.compress.progress import progress
from edgebert.tasks.training import AnyTrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Importance:
    """One score per head and neuron, layer by layer. *Shape*: heads (heads,), ffn (neurons,)."""

    heads: list[Tensor]
    ffn: list[Tensor]


@dataclass(frozen=True)
class Estimator:
    """How importance is estimated: method, number of rows, their seed, and batch size."""

    method: Literal["first-order", "fisher"]
    samples: int
    seed: int
    batch_size: int = 32


def measure_importance(
    model: PreTrainedModel, rows: EncodedRows, estimator: Estimator, task: AnyTrainingTask, pad_id: int = 0
) -> Importance:
    """Score every head and neuron on a seeded sample of training rows.

    `first-order`: mean |gradient of the mask|, Michel et al. 2019 (arXiv:1905.10650). `fisher`: mean squared gradient
    of the mask, Kwon et al. 2022 (arXiv:2204.09656). Gradients of the task's loss are taken text by text.
    """
    model.eval()
    chosen = np.random.default_rng(estimator.seed).permutation(len(rows))[: estimator.samples]
    power = 1 if estimator.method == "first-order" else 2
    totals = ones(model)
    heads, ffn = (
        [torch.zeros_like(mask[0]) for mask in totals.heads],
        [torch.zeros_like(mask[0]) for mask in totals.ffn],
    )
    starts = range(0, len(chosen), estimator.batch_size)
    for start in progress(starts, desc="importance", unit="batch"):
        batch = task.collate([rows[int(at)] for at in chosen[start : start + estimator.batch_size]], pad_id)
        count = len(batch["input_ids"])
        masks = ones(model, rows=count, requires_grad=True)
        with masked(model, masks):
            outputs = task.outputs(model(**model_inputs(batch)))
        torch.autograd.backward(task.hard_loss(outputs, batch) * count)
        for total, mask in zip([*heads, *ffn], [*masks.heads, *masks.ffn], strict=True):
            gradient = mask.grad
            if gradient is not None:
                total += gradient.abs().pow(power).sum(0)
        model.zero_grad(set_to_none=True)
    return Importance([score / len(chosen) for score in heads], [score / len(chosen) for score in ffn])
