"""Extractive question answering: a start and an end logit for every token."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
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
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded
from edgebert.strict_json import Json
from edgebert.tasks.question_answering.predict import FoundAnswer, QuestionAnswering
from edgebert.tasks.question_answering.spec import SPEC, Settings, f1
from edgebert.tasks.training import ModelClass, Rows, TrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel
    from transformers.utils import ModelOutput

CLS = 0
IGNORED = -100
# Far below every logit, and still finite when divided by a temperature.
PADDING = -1e4
POSITIONS = ("start_positions", "end_positions")


class QuestionAnsweringTraining(TrainingTask[Settings, QuestionAnswering]):
    """Softmax over the tokens, for the start and for the end."""

    rows: Rows = "all"

    def score(self, metric: str, expected: Sequence[Sequence[str]], predicted: Sequence[str]) -> float:
        """Official SQuAD metric, computed by the device's own functions, since no library of the field has it."""
        chosen = SPEC.metrics[metric]
        return chosen.figure(chosen.table(expected, predicted))

    def read_labels(
        self, data: DataSettings, splits: Mapping[str, list[Example]], folder: Path, head: list[str] | None
    ) -> Labels:
        """No labels; finds whether the device must expect questions without an answer.

        Raises:
            DataError: A row that is trained on or scored has no `answers`, or the training data has no answer at all.
        """
        for row in chain(*splits.values()):
            if row.label is None:
                raise DataError(f"{row.place}: no 'answers'; expected a list of them, empty if there is none")
        if splits["train"] and not any(row.label for row in splits["train"]):
            raise DataError(f"{folder / data.train}: no question has an answer; expected at least one that has")
        known = splits["train"] or splits["validation"] or splits["test"]
        return Labels([], [], {"may_have_no_answer": any(not row.label for row in known)})

    def model_class(self, config: PreTrainedConfig) -> ModelClass:
        """The family's class for question answering, with two outputs per token."""
        config.problem_type, config.num_labels = None, 2
        return model_class_for("question-answering", config.model_type)

    def outputs(self, result: ModelOutput) -> tuple[Tensor, ...]:
        """Start and end logits. *Shape* of each: (batch, length)."""
        return result.start_logits, result.end_logits

    def targets(self, task: QuestionAnswering, example: Example, windows: Sequence[Encoded]) -> list[Item]:
        """Tokens at which the first answer starts and ends; [CLS] if it is not completely in the window."""
        return [dict(zip(POSITIONS, positions, strict=True)) for positions in _positions(example, windows)]

    def hard_loss(self, ours: tuple[Tensor, ...], batch: dict[str, Tensor]) -> Tensor:
        """Mean of the cross-entropies of start and end (Devlin et al. 2019, arXiv:1810.04805, section 4.2).

        0 for a batch in which no window has a known answer.
        """
        if not bool((batch[POSITIONS[0]] != IGNORED).any()):
            return ours[0].new_zeros(())
        terms = [
            functional.cross_entropy(_real(logits, batch), batch[name], ignore_index=IGNORED)
            for logits, name in zip(ours, POSITIONS, strict=True)
        ]
        return torch.stack(terms).mean()

    def soft_loss(
        self, ours: tuple[Tensor, ...], theirs: tuple[Tensor, ...], batch: dict[str, Tensor], temperature: float
    ) -> Tensor:
        """Divergence of the softened start and end distributions over the tokens from the teacher's; mean of both."""
        terms = [
            losses.soft_target(_real(student, batch), _real(teacher, batch), temperature)
            for student, teacher in zip(ours, theirs, strict=True)
        ]
        return torch.stack(terms).mean()

    def head(self, model: PreTrainedModel) -> nn.Module:
        """Linear layer over every row."""
        return SpanHead(model.qa_outputs)

    def tune(
        self, task: QuestionAnswering, predictions: Iterable[FoundAnswer], expected: Sequence[Sequence[str]]
    ) -> dict[str, Json]:
        """Choose the no-answer threshold with the best F1, if the training data has questions without an answer.

        The method of SQuAD 2.0's official evaluation (Rajpurkar, Jia, Liang 2018, arXiv:1806.03822): questions are
        answered in the order of their no-answer scores, and the best stopping point becomes the threshold.
        """
        if not task.may_have_no_answer:
            return {}
        scored = [
            (prediction.no_answer_score or 0.0, f1(answers, prediction.candidate) - f1(answers, ""))
            for prediction, answers in zip(predictions, expected, strict=True)
        ]
        return {"no_answer_threshold": _threshold(np.array(scored))}


class SpanHead(nn.Module):
    """Linear layer with two outputs, start and end."""

    def __init__(self, linear: nn.Module) -> None:
        """Use a model's layer."""
        super().__init__()
        self.linear = linear

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        """Start and end logits. *Shape* of each: (batch, length)."""
        logits: Tensor = self.linear(hidden)
        return logits[..., 0], logits[..., 1]


def _threshold(scored: NDArray[np.float64]) -> float:
    """Midpoint between the last no-answer score that is answered and the next one.

    *Shape*: (questions, score and gain).
    """
    scores, gains = scored[np.argsort(scored[:, 0], kind="stable")].T
    # Sum of gains when the first 0, 1, 2, ... questions are answered; equal scores cannot be told apart.
    totals = np.append(0.0, gains.cumsum())
    totals[1:-1][scores[1:] == scores[:-1]] = -np.inf
    answered = int(totals.argmax())
    below, above = np.append(scores[0] - 1.0, scores)[answered], np.append(scores, scores[-1] + 1.0)[answered]
    return float((below + above) / 2)


def _positions(example: Example, windows: Sequence[Encoded]) -> list[tuple[int, int]]:
    if not example.label:
        return [(CLS, CLS) if example.label is not None else (IGNORED, IGNORED)] * len(windows)
    answer = example.label[0]
    start, end = answer.start, answer.start + len(answer.text)
    inside = [at for window in windows for at in window.offsets if at is not None and at[0] < end and at[1] > start]
    if not inside:
        return [(IGNORED, IGNORED)] * len(windows)
    first, last = min(inside), max(inside)
    return [_between(list(window.offsets), first, last) for window in windows]


def _between(offsets: list[tuple[int, int] | None], first: tuple[int, int], last: tuple[int, int]) -> tuple[int, int]:
    """Token numbers for these offsets; [CLS] if one is missing.

    If several tokens have the same offset, the outermost one counts.
    """
    if first not in offsets or last not in offsets:
        return CLS, CLS
    return offsets.index(first), len(offsets) - 1 - offsets[::-1].index(last)


def _real(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Logits with padding masked out."""
    return logits.float().masked_fill(batch["attention_mask"] == 0, PADDING)
