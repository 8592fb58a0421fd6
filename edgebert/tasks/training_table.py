"""The training side of every task. It imports torch, so nothing on a device imports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgebert.settings import fill
from edgebert.tasks.device import Task
from edgebert.tasks.fill_mask.predict import FillMask
from edgebert.tasks.fill_mask.train import FillMaskTraining
from edgebert.tasks.intent_slots.predict import IntentSlots
from edgebert.tasks.intent_slots.train import IntentSlotsTraining
from edgebert.tasks.multi_label.predict import MultiLabel
from edgebert.tasks.multi_label.train import MultiLabelTraining
from edgebert.tasks.question_answering.predict import QuestionAnswering
from edgebert.tasks.question_answering.train import QuestionAnsweringTraining
from edgebert.tasks.regression.predict import Regression
from edgebert.tasks.regression.train import RegressionTraining
from edgebert.tasks.rerank.predict import Rerank
from edgebert.tasks.rerank.train import RerankTraining
from edgebert.tasks.similarity.predict import SentenceSimilarity
from edgebert.tasks.similarity.train import SimilarityTraining
from edgebert.tasks.table import device_task
from edgebert.tasks.text_classification.predict import TextClassification
from edgebert.tasks.text_classification.train import TextClassificationTraining
from edgebert.tasks.token_classification.predict import TokenClassification
from edgebert.tasks.token_classification.train import TokenClassificationTraining
from edgebert.tasks.training import AnyTrainingTask

TRAINING_TASKS: dict[type[Task], type[AnyTrainingTask]] = {
    FillMask: FillMaskTraining,
    IntentSlots: IntentSlotsTraining,
    MultiLabel: MultiLabelTraining,
    QuestionAnswering: QuestionAnsweringTraining,
    Regression: RegressionTraining,
    Rerank: RerankTraining,
    SentenceSimilarity: SimilarityTraining,
    TextClassification: TextClassificationTraining,
    TokenClassification: TokenClassificationTraining,
}


def training_task(name: str, head: Mapping[str, Any] | None = None) -> AnyTrainingTask:
    """The training side of a task.

    Args:
        name: The task.
        head: Settings from a recipe's `[head]` or a manifest; None for the defaults.

    Raises:
        ValueError: There is no task of that name.
        SettingsError: The settings do not fit the task.
    """
    kind = device_task(name)
    return TRAINING_TASKS[kind](fill(kind.spec.settings, dict(head or {}), "recipe", "head."))
