"""Intent and slots: softmax over intents from the [CLS] row, over tags from the row of each word's first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import losses
from edgebert.compress.batch import Item
from edgebert.compress.joint import joint_class
from edgebert.compress.labels import Labels
from edgebert.data.balance import count_labels
from edgebert.data.examples import Example
from edgebert.data.tags import tag_set
from edgebert.errors import CheckpointError
from edgebert.metrics.entities import Frame
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.tagging import Settings
from edgebert.tasks.intent_slots.predict import IntentSlots
from edgebert.tasks.text_classification.train import labels_of, pooled_head
from edgebert.tasks.token_classification.train import (
    check_labelled,
    entity_types,
    hard_tag_loss,
    soft_tag_loss,
    tag_targets,
)
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

NO_INTENT = -100


class IntentSlotsTraining(TrainingTask[Settings, IntentSlots]):
    """Softmax over intents and, at the first token of every word, over tags."""

    rows: Rows = "all"

    def score(self, metric: str, expected: Sequence[Frame], predicted: Sequence[Frame]) -> float:
        """Metric of intents and BIO tags, one pair per text: slots with seqeval, intents with scikit-learn."""
        from seqeval.metrics import f1_score  # imports scikit-learn, which takes two seconds
        from sklearn.metrics import accuracy_score

        if metric == "intent_slots":
            return sum(self.score(one, expected, predicted) for one in ("intent_accuracy", "slot_f1")) / 2
        intents, tags = ([[frame[part] for frame in frames] for frames in (expected, predicted)] for part in (0, 1))
        if metric == "intent_accuracy":
            return float(accuracy_score(*intents))
        if metric == "slot_f1":
            return float(f1_score(*[[list(text) for text in texts] for texts in tags], zero_division=0))
        return float(accuracy_score([True] * len(expected), [a == b for a, b in zip(expected, predicted, strict=True)]))

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """Intents as labels, and the tags of all slot types in the training file.

        `data.label_names` names intents; slot types keep the names that they have in the files.

        Raises:
            DataError: A row has no intent or tags, there are fewer than two intents or no slot at all, or the kept head
                has none of the files' intents.
        """
        check_labelled(splits)
        intents = {name: [replace(row, label=row.label[0]) for row in rows] for name, rows in splits.items()}
        labels = labels_of(data, intents, folder, head)
        types = entity_types([row.label[1] for row in splits["train"]], folder / data.train, [])
        tags = tag_set(types, self.settings.scheme)
        return replace(labels, extra={"tags": tags}, config={"slot_tags": tags})

    def label_counts(self, rows: Sequence[Example], labels: Labels) -> dict[str, int]:
        """Number of rows with each intent, as spelled in the file."""
        return count_labels(([row.label[0]] for row in rows if row.label is not None), labels.values)

    def stratum(self, example: Example) -> str:
        """The row's intent."""
        return str(example.label[0] if example.label else "")

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's encoder with both heads.

        Raises:
            CheckpointError: The config does not name the slot tags.
        """
        if not getattr(config, "slot_tags", None):
            raise CheckpointError("config.json names no slot_tags; give the folder of an intent-slots model")
        config.problem_type = None
        return joint_class(config)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Both logits. *Shape*: (batch, intents), (batch, length, tags)."""
        return (result.intent_logits, result.slot_logits)

    def targets(self, task: IntentSlots, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """Number of the intent for every window, NO_INTENT if there is none, and the tags from `tag_targets`."""
        known = example.label is not None
        intent = task.labels.index(task.intent(example)) if known else NO_INTENT
        rows = tag_targets(task.tagger, example, example.label[1] if known else None, task.given(example), windows)
        return [{"intents": intent, "tags": row} for row in rows]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Sum of the mean cross-entropies of intents and of tags (Chen, Zhuo, Wang 2019, arXiv:1902.10909)."""
        intents, tags = ours
        loss = hard_tag_loss(tags, batch["tags"])
        if bool((batch["intents"] >= 0).any()):
            loss = loss + functional.cross_entropy(intents, batch["intents"], ignore_index=NO_INTENT)
        return loss

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Teacher's softened intents, and its softened tags at first tokens."""
        intents = losses.soft_target(ours[0], theirs[0], temperature)
        return intents + soft_tag_loss(ours[1], theirs[1], batch["tags"], temperature)

    def head(self, model: PreTrainedModel) -> nn.Module:
        """The family's head for sequence classification over the [CLS] row, the slot classifier over every row."""
        return JointHead(pooled_head(model), model.slot_classifier)


class JointHead(nn.Module):
    """A head over the first row, and a linear layer over every row."""

    def __init__(self, intents: nn.Module, slots: nn.Module) -> None:
        """Use a model's layers."""
        super().__init__()
        self.intents, self.slots = intents, slots

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Both logits. *Shape*: (batch, intents), (batch, length, tags)."""
        return (*self.intents(hidden, attention_mask), self.slots(hidden))
