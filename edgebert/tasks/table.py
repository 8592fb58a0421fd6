"""The tasks of this EdgeBERT, by name. A new task is one function with its import, and one row.

Every import is in its own function, so a process that predicts loads only its task. With all nine, importing the
runtime would take half as long again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebert.tasks.device import Task
from edgebert.tasks.spec import TaskSpec


def _fill_mask() -> type[Task]:
    from edgebert.tasks.fill_mask.predict import FillMask

    return FillMask


def _intent_slots() -> type[Task]:
    from edgebert.tasks.intent_slots.predict import IntentSlots

    return IntentSlots


def _multi_label() -> type[Task]:
    from edgebert.tasks.multi_label.predict import MultiLabel

    return MultiLabel


def _question_answering() -> type[Task]:
    from edgebert.tasks.question_answering.predict import QuestionAnswering

    return QuestionAnswering


def _regression() -> type[Task]:
    from edgebert.tasks.regression.predict import Regression

    return Regression


def _rerank() -> type[Task]:
    from edgebert.tasks.rerank.predict import Rerank

    return Rerank


def _similarity() -> type[Task]:
    from edgebert.tasks.similarity.predict import SentenceSimilarity

    return SentenceSimilarity


def _text_classification() -> type[Task]:
    from edgebert.tasks.text_classification.predict import TextClassification

    return TextClassification


def _token_classification() -> type[Task]:
    from edgebert.tasks.token_classification.predict import TokenClassification

    return TokenClassification


TASKS: dict[str, Callable[[], type[Task]]] = {
    "fill-mask": _fill_mask,
    "intent-slots": _intent_slots,
    "multi-label": _multi_label,
    "question-answering": _question_answering,
    "regression": _regression,
    "rerank": _rerank,
    "similarity": _similarity,
    "text-classification": _text_classification,
    "token-classification": _token_classification,
}


def task_names() -> list[str]:
    """Names of the tasks that this EdgeBERT knows."""
    return sorted(TASKS)


def device_task(name: str) -> type[Task]:
    """Class of a task, made from a manifest and a tokenizer.

    Raises:
        ValueError: There is no such task; the message lists the existing ones.
    """
    if name not in TASKS:
        raise ValueError(f"task {name!r} is not known; this EdgeBERT knows {', '.join(task_names())}")
    return TASKS[name]()


def spec_of(name: str) -> TaskSpec[Any]:
    """Names, settings, data and metrics of a task.

    Raises:
        ValueError: There is no such task.
    """
    return device_task(name).spec
