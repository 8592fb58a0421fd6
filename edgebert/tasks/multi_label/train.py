"""Multi-label classification: a sigmoid for every label, from the [CLS] row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import losses
from edgebert.compress.batch import Item
from edgebert.compress.labels import Labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.data.balance import count_labels, entropy
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.metrics.scores import Chosen, aligned
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.strict_json import Json
from edgebert.tasks.multi_label.predict import DEFAULT_THRESHOLD, Labelling, MultiLabel
from edgebert.tasks.multi_label.spec import Settings
from edgebert.tasks.text_classification.train import labels_of, pooled_head
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

UNKNOWN = -1.0


class MultiLabelTraining(TrainingTask[Settings, MultiLabel]):
    """A sigmoid for every label."""

    rows: Rows = "first"

    def score(self, metric: str, expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> float:
        """Metric of indicators, one array per text; a label that is neither expected nor predicted has no F1."""
        from sklearn.metrics import accuracy_score, f1_score  # takes two seconds

        wanted, given = (chosen.astype(np.int64) for chosen in aligned(expected, predicted))
        if metric == "accuracy":
            return float(accuracy_score(wanted, given))
        average = metric.removesuffix("_f1") if wanted.shape[1] > 1 else "binary"
        return float(np.nan_to_num(f1_score(wanted, given, average=average, zero_division=np.nan)))

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """Labels in the files, in the order of the head's outputs; `tune` replaces the default thresholds.

        Raises:
            DataError: There are fewer than two labels, the kept head has none of the files' labels, or a name contains
                the separator.
        """
        one_a_row = {name: [row for several in rows for row in _one_a_row(several)] for name, rows in splits.items()}
        labels = labels_of(data, one_a_row, folder, head)
        if splits["train"] and not labels.values:
            train = folder / data.train
            raise DataError(f"{train}: no row has a label in '{data.label}'; expected at least two labels")
        separator = self.settings.separator
        for name in labels.names:
            if separator in name:
                raise DataError(f"label name {name!r} contains the separator {separator!r}; change head.separator")
        return replace(labels, extra={"thresholds": [DEFAULT_THRESHOLD] * len(labels.names)})

    def label_counts(self, rows: Sequence[Example], labels: Labels) -> dict[str, int]:
        """Number of rows with each label, as spelled in the file."""
        return count_labels((row.label or () for row in rows), labels.values)

    def guess_loss(self, rows: Sequence[Example], labels: Labels) -> float | None:
        """Entropy of having each label or not, summed over labels, in nats."""
        known = sum(row.label is not None for row in rows)
        return sum(entropy([count, known - count]) for count in self.label_counts(rows, labels).values())

    def stratum(self, example: Example) -> str:
        """The row's alphabetically first label."""
        return str(min(example.label or (), default=""))

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for sequence classification."""
        config.problem_type = "multi_label_classification"
        return model_class_for("text-classification", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, labels)."""
        return (result.logits,)

    def targets(self, task: MultiLabel, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """1 for every label that the row has, 0 for the others; -1 everywhere for a row without a label column."""
        if example.label is None:
            return [{"labels": np.full(len(task.labels), UNKNOWN, dtype=np.float32)}]
        return [{"labels": task.expected(example).astype(np.float32)}]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Binary cross-entropy, summed over labels, mean over texts with labels; 0 if there are none.

        Nam et al. 2014, arXiv:1312.5419.
        """
        wanted = batch["labels"]
        known = wanted >= 0
        terms = functional.binary_cross_entropy_with_logits(ours[0].float(), wanted.clamp(min=0.0), reduction="none")
        return (terms * known).sum() / known[:, 0].sum().clamp(min=1)

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Divergence of the softened Bernoulli distribution of each label from the teacher's.

        Times temperature squared, summed over labels, mean over texts: multi-label logits distillation, Yang et al.
        2023, arXiv:2308.06453; the temperature is that of Hinton et al. 2015, arXiv:1503.02531.
        """
        mean = losses.soft_target(_two_classes(ours[0]), _two_classes(theirs[0]), temperature)
        return mean * ours[0].shape[1]

    def head(self, model: PreTrainedModel) -> nn.Module:
        """The family's head for sequence classification, over the [CLS] row."""
        return pooled_head(model)

    def tune(self, task: MultiLabel, predictions: Iterable[Labelling], expected: Sequence[Chosen]) -> dict[str, Json]:
        """Choose one threshold per label, with the best F1 on these texts (SCut: Yang 2001, SIGIR)."""
        scores = np.array([[prediction.scores[label] for label in task.labels] for prediction in predictions])
        wanted = np.stack(expected)
        return {"thresholds": [_threshold(scores[:, at], wanted[:, at]) for at in range(len(task.labels))]}


def _threshold(scores: NDArray[np.float64], wanted: Chosen) -> float:
    """The best threshold midway between two neighbouring scores; of equally good ones the nearest to the default."""
    if not wanted.any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-scores, kind="stable")
    above = scores[order]
    below = np.append(above[1:], 0.0)
    f1 = 2 * np.cumsum(wanted[order]) / (np.arange(1, len(scores) + 1) + wanted.sum())
    # No threshold can separate equal scores.
    f1[above == below] = -1.0
    cuts = ((above + below) / 2)[f1 == f1.max()]
    return float(cuts[np.abs(cuts - DEFAULT_THRESHOLD).argmin()])


def _two_classes(logits: Tensor) -> Tensor:
    """Each label as two classes, whose softmax is the label's sigmoid. *Shape*: (batch x labels, 2)."""
    return torch.stack([logits, torch.zeros_like(logits)], dim=-1).flatten(0, 1)


def _one_a_row(row: Example) -> list[Example]:
    """Repeat for every label of a row."""
    return [row] if row.label is None else [replace(row, label=label) for label in row.label]
