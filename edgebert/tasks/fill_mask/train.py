"""Masked language modelling: predict hidden tokens from the text around them. Needs no labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import arch, losses
from edgebert.compress.batch import Item, pad_batch
from edgebert.compress.labels import Labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.fill_mask.predict import FillMask, hidden_positions
from edgebert.tasks.fill_mask.spec import Guesses, Settings
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

# Share of the hidden tokens that become the mask, and share that become a random token; the others stay (Devlin et al.
# 2019, arXiv:1810.04805, section 3.1).
AS_MASK, AS_RANDOM = 0.8, 0.1


class FillMaskTraining(TrainingTask[Settings, FillMask]):
    """Cross-entropy over hidden tokens."""

    rows: Rows = "all"
    outputs_vocabulary = True

    def score(self, metric: str, expected: Sequence[bool], predicted: Sequence[Guesses]) -> float:
        """Share of the hidden tokens that are found, by their ids."""
        from sklearn.metrics import accuracy_score  # takes two seconds, and an export without training scores nothing

        hidden, likeliest = zip(*(pair for guesses in predicted for pair in guesses), strict=True)
        return float(accuracy_score(hidden, likeliest))

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """No labels: a text is its own label.

        Raises:
            DataError: The recipe names labels.
        """
        if data.label_names:
            raise DataError(f"data.label_names is {data.label_names}; masked words have no labels, so leave it out")
        return Labels([], [])

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for masked language modelling."""
        return model_class_for("fill-mask", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Logits over the vocabulary. *Shape*: (batch, length, vocabulary)."""
        return (result.logits,)

    def targets(self, task: FillMask, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """Values for hiding tokens: the mask's id, and the size of the vocabulary."""
        return [{"mask_id": task.mask()[1], "vocabulary": task.encoder.vocabulary_size}]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy over the hidden tokens."""
        hidden = batch["labels"] >= 0
        return functional.cross_entropy(ours[0][hidden].float(), batch["labels"][hidden])

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Softened distributions of the teacher over the vocabulary, at the hidden tokens."""
        hidden = batch["labels"] >= 0
        return losses.soft_target(ours[0][hidden], theirs[0][hidden], temperature)

    def head(self, model: PreTrainedModel) -> nn.Module:
        """Transform and decoder over every row."""
        return VocabularyHead(arch.masked_lm_head(model))

    def own_windows(self, task: FillMask, example: Example) -> list[Encoded]:
        """The whole text; `collate` hides other tokens of it for every batch."""
        return [task.encoder.encode(example.text)]

    def collate(self, items: Sequence[Item], pad_id: int = 0) -> dict[str, Tensor]:
        """A padded batch with hidden tokens.

        The draw is seeded by the batch's texts. Batches differ between epochs, so a text's mask changes from one epoch
        to the next (Liu et al. 2019, arXiv:1907.11692). A run that resumes after a kill draws the same masks.

        Returns:
            The result of `pad_batch`, and `labels`: the hidden tokens, -100 for all others. *Shape*: (batch, length),
            int64.
        """
        texts = [{name: item[name] for name in ("input_ids", "token_type_ids")} for item in items]
        batch = pad_batch(texts, pad_id)
        seed = hashlib.sha256(batch["input_ids"].numpy().tobytes()).digest()[:8]
        random = np.random.default_rng(int.from_bytes(seed, "big"))
        labels = torch.full_like(batch["input_ids"], -100)
        for row, item in enumerate(items):
            positions = hidden_positions(item["input_ids"], random)
            labels[row, positions] = batch["input_ids"][row, positions]
            fate = random.random(len(positions))
            drawn = random.integers(0, item["vocabulary"], len(positions))
            is_mask, is_drawn = fate < AS_MASK, (fate >= AS_MASK) & (fate < AS_MASK + AS_RANDOM)
            batch["input_ids"][row, positions[is_mask]] = item["mask_id"]
            batch["input_ids"][row, positions[is_drawn]] = torch.from_numpy(drawn[is_drawn])
        return {**batch, "labels": labels}


class VocabularyHead(nn.Module):
    """A model's own head for masked language modelling."""

    def __init__(self, layers: nn.Module) -> None:
        """Use a model's layers."""
        super().__init__()
        self.layers = layers

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, length, vocabulary)."""
        return (self.layers(hidden),)
