"""Reranking: one output from the [CLS] row, learnt from documents' grades and a teacher's outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress.batch import Item
from edgebert.compress.labels import Labels
from edgebert.compress.optimum_tables import model_class_for
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.metrics.ranking import Judged
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.rerank.predict import Rerank
from edgebert.tasks.rerank.spec import SPEC, Settings
from edgebert.tasks.text_classification.train import pooled_head
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput


class RerankTraining(TrainingTask[Settings, Rerank]):
    """Grades as the probability that a document answers its query."""

    rows: Rows = "first"

    def score(self, metric: str, expected: Sequence[Judged], predicted: Sequence[float]) -> float:
        """The device's own metric, since scikit-learn takes one query at a time; tests compare both."""
        chosen = SPEC.metrics[metric]
        return chosen.figure(chosen.table(expected, predicted))

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """No labels: grades have none.

        Raises:
            DataError: A row has no document or grade, grades define no order, or the recipe names labels.
        """
        if data.label_names:
            raise DataError(f"data.label_names is {data.label_names}; grades have no names, so leave it out")
        if not data.text_pair:
            raise DataError("data.text_pair is '', but a document is read with its query; name its column")
        for rows in splits.values():
            for row in rows:
                if row.text_pair is None:
                    raise DataError(f"{row.place}: no document; name its column in data.text_pair")
                if row.label is None:
                    expected = f"a number of at least {self.settings.low:g} in the column data.label"
                    raise DataError(f"{row.place}: no grade; expected {expected}")
        _check_learnable(splits["train"], self.settings.high, is_drawn=head is None or len(head) != 1)
        if splits["validation"] and not _has_choice(splits["validation"]):
            raise DataError(
                f"{folder / data.validation}: no query has documents of different grades, so all orders are equally "
                f"good; give several documents of each query, with their grades"
            )
        return Labels([], [])

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for sequence classification, with one output."""
        config.num_labels = 1
        return model_class_for("text-classification", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Logits. *Shape*: (batch, 1)."""
        return (result.logits,)

    def targets(self, task: Rerank, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """The grade scaled to 0..1; NaN if there is none."""
        settings = self.settings
        if example.label is None:
            return [{"labels": math.nan}]
        return [{"labels": (float(example.label) - settings.low) / (settings.high - settings.low)}]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy of the output's sigmoid with the grades (Nogueira and Cho 2019, arXiv:1901.04085).

        It is 0 for a batch without grades.
        """
        wanted = batch["labels"]
        known = wanted.isfinite()
        each = functional.binary_cross_entropy_with_logits(
            ours[0].float().squeeze(-1), wanted.nan_to_num(), reduction="none"
        )
        return (each * known).sum() / known.sum().clamp(min=1)

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Mean squared error to the teacher's outputs (Hofstätter et al. 2020, arXiv:2010.02666, section 3.1).

        The temperature is not used: one output has no distribution to soften.
        """
        return functional.mse_loss(ours[0].float(), theirs[0].float())

    def head(self, model: PreTrainedModel) -> nn.Module:
        """The family's head for sequence classification, over the [CLS] row."""
        return pooled_head(model)


def _check_learnable(rows: Sequence[Example], high: float, is_drawn: bool) -> None:
    """Refuse grades outside the range, and grades that are all equal if the head is new.

    Training could learn nothing from them.

    Raises:
        DataError: Names a row.
    """
    above = next((row for row in rows if row.label > high), None)
    if above is not None:
        raise DataError(
            f"{above.place}: the grade is {above.label:g}, above head.high, {high:g}; set head.high to the best grade"
        )
    if is_drawn and len({row.label for row in rows}) == 1:
        raise DataError(
            f"{rows[0].place}: every grade is {rows[0].label:g}, so no order can be learnt; add documents that "
            "do not answer their queries, such as other search results"
        )


def _has_choice(rows: Sequence[Example]) -> bool:
    """Whether a query has documents of different grades."""
    grades: dict[str, float] = {}
    return any(grades.setdefault(row.text, row.label) != row.label for row in rows)
