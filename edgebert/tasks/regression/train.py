"""Regression: one score, from the [CLS] row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress import metrics
from edgebert.compress.batch import Item
from edgebert.compress.labels import Labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Outputs
from edgebert.tasks.regression.predict import Regression
from edgebert.tasks.regression.spec import Settings
from edgebert.tasks.text_classification.train import pooled_head
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput


class RegressionTraining(TrainingTask[Settings, Regression]):
    """One score."""

    rows: Rows = "first"

    def score(self, metric: str, expected: Sequence[float], predicted: Sequence[float]) -> float:
        """Correlation of scores, by scipy."""
        return correlation(metric, expected, predicted)

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """No labels: scores have none.

        Raises:
            DataError: A row has no score, or the recipe names labels.
        """
        if data.label_names:
            raise DataError(f"data.label_names is {data.label_names}; scores have no names, so leave it out")
        for rows in splits.values():
            for row in rows:
                if row.label is None:
                    wanted = f"a number from {self.settings.range}"
                    raise DataError(f"{row.place}: no score; expected {wanted}: name its column")
        return Labels([], [])

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for sequence classification, with one output."""
        config.problem_type = "regression"
        config.num_labels = 1
        return model_class_for("text-classification", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, 1)."""
        return (result.logits,)

    def targets(self, task: Regression, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """The score as the head outputs it; NaN if there is none."""
        return [{"labels": math.nan if example.label is None else task.output(task.expected(example))}]

    def observed(self, task: Regression, givens: Sequence[Any], outputs: Iterable[Sequence[Outputs]]) -> str:
        """Say how many scores are outside the range and are clipped."""
        scores = [task.score(float(found[0][0][0])) for found in outputs]
        outside = sum(not task.settings.low <= score <= task.settings.high for score in scores)
        if not (task.settings.clip and outside):
            return ""
        return (
            f"{outside} of {len(scores)} scores are outside {task.settings.range} and are clipped; widen "
            "head.low and head.high, or set head.clip to false"
        )

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error over texts with a score; 0 if there are none."""
        wanted = batch["labels"]
        known = wanted.isfinite()
        squared = (ours[0].float().squeeze(-1) - wanted.nan_to_num()).pow(2)
        return (squared * known).sum() / known.sum().clamp(min=1)

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Mean squared error to the teacher's outputs (Ba and Caruana 2014, arXiv:1312.6184).

        The temperature is not used: a score has no distribution to soften.
        """
        return functional.mse_loss(ours[0].float(), theirs[0].float())

    def head(self, model: PreTrainedModel) -> nn.Module:
        """The family's head for sequence classification, over the [CLS] row."""
        return pooled_head(model)


def correlation(metric: str, expected: Sequence[float], predicted: Sequence[float]) -> float:
    """Correlation of scores; 0, as on the device, if one side is constant."""
    if np.ptp(expected) == 0 or np.ptp(predicted) == 0:
        return 0.0
    return metrics.score(metric, expected, predicted)
