"""Pad encoded windows to a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from edgebert.errors import TextError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
# A window with its targets: lists with one value per token, numbers, arrays, and values for a task's own `collate`.
Item = dict[str, Any]
# Makes a batch from windows with their targets and the padding id.
Collate = Callable[[Sequence[Item], int], dict[str, torch.Tensor]]


def pad_batch(items: Sequence[Item], pad_id: int = 0) -> dict[str, torch.Tensor]:
    """Pad a batch to its longest text.

    Returns:
        `input_ids`, `attention_mask`, `token_type_ids`: *Shape* (batch, longest), int64; targets: lists with one number
        per token are padded with -100, numbers and arrays are stacked.

    Raises:
        TextError: A text has no token: its row would be all padding.
    """
    for row, item in enumerate(items, 1):
        if not len(item["input_ids"]):
            raise TextError(f"text {row} of a batch of {len(items)} has no token; give at least one word")
    longest = max(len(item["input_ids"]) for item in items)
    shape = (len(items), longest)
    ids = torch.full(shape, pad_id, dtype=torch.long)
    mask, types = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    for row, item in enumerate(items):
        length = len(item["input_ids"])
        ids[row, :length] = torch.tensor(item["input_ids"])
        types[row, :length] = torch.tensor(item["token_type_ids"])
        mask[row, :length] = 1
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    return batch | {name: _stacked([item[name] for item in items], longest) for name in items[0] if name not in batch}


def model_inputs(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Select a batch's model inputs; the rest are targets."""
    return {name: batch[name] for name in INPUTS}


def _stacked(values: list[Any], longest: int) -> torch.Tensor:
    if isinstance(values[0], list):
        return torch.tensor([value + [-100] * (longest - len(value)) for value in values])
    return torch.from_numpy(np.stack(values)) if isinstance(values[0], np.ndarray) else torch.tensor(values)
