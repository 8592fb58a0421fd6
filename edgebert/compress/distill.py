"""Distil a teacher into a student: connect the losses to both models, and run the stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from edgebert.compress import arch, checkpoint, losses
from edgebert.compress.batch import model_inputs
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.shortfalls import Standard
from edgebert.compress.student import make_student
from edgebert.compress.train import Training, train, uses_bf16
from edgebert.compress.validation import Validation
from edgebert.recipe import DistillLoss, DistillSettings, TrainSettings, settings_dict
from edgebert.tasks.training import AnyTrainingTask

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VERSION = 4
PROJECTION = "edgebert_hidden_projection"
Projection = Literal["query", "key", "value"]
PROJECTIONS: tuple[Projection, ...] = ("query", "key", "value")


@dataclass(frozen=True)
class Teacher:
    """A teacher's folder, and the teacher layers that the student's layers correspond to (None: all).

    `validation` is its metric on validation; None if no stage measured it.
    """

    folder: Path
    layers: Sequence[int] | None = None
    validation: float | None = None


@dataclass(frozen=True)
class Lesson:
    """How a distillation stage trains: its name, training settings and loss weights.

    `table` is the recipe's table with the training settings.
    """

    stage: str
    table: str
    training: TrainSettings
    loss: DistillLoss


def distill(teacher: Teacher, data: TaskData, settings: DistillSettings, run: Run, out: Path) -> StageReport:
    """Make a student from chosen teacher layers, and train it to agree with the teacher.

    Args:
        teacher: The fine-tuned model; the student gets the layers that `settings` names.
        data: Labelled examples, and unlabelled ones, for which the teacher alone provides targets.
        settings: The recipe's `[distill]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the student.

    Returns:
        The stage's arguments and the validation metric reached.

    Raises:
        SettingsError: This teacher does not allow the layers or the width.
    """
    teacher_model = run.loaded.model(teacher.folder, run.task, data.label_names)
    student = make_student(teacher_model, settings.layers, settings.hidden_size).requires_grad_(True)
    lesson = Lesson("distill", "distill", settings, settings.loss)
    return train_student(student, replace(teacher, layers=settings.layers), data, lesson, run, out)


def train_student(
    student: PreTrainedModel, teacher: Teacher, data: TaskData, lesson: Lesson, run: Run, out: Path
) -> StageReport:
    """Train a student whose layers correspond to given teacher layers, and save it."""
    tokenizer, settings = run.loaded.tokenizer(teacher.folder), lesson.training
    encoder = run.encoder(tokenizer, out)
    teacher_model = run.loaded.model(teacher.folder, run.task, data.label_names)
    layers = teacher.layers or range(len(arch.encoder_layers(student)))
    objective = Objective(teacher_model, student, layers, lesson.loss, data.training_task, uses_bf16(settings))
    training = Training(
        title=lesson.stage,
        train=encode_rows([*data.train, *data.unlabelled], data, encoder),
        validate=Validation(data.validation, data, encoder, run.metric, tokenizer.pad_token_id),
        settings=settings,
        metric=run.metric,
        seed=run.seed,
        folder=out / "checkpoints",
        pad_id=tokenizer.pad_token_id,
        collate=objective.task.collate,
        standard=Standard(lesson.table, settings, run.metric, len(data.validation), teacher=teacher.validation),
        until=run.clock.until(lesson.stage),
    )
    metrics = train(student, training, objective)
    objective.detach(student)
    checkpoint.save_model(student, tokenizer, out)
    return StageReport(lesson.stage, settings_dict(settings), metrics)


class Objective:
    """The weighted sum of distillation losses for one teacher and one student."""

    def __init__(
        self,
        teacher: PreTrainedModel,
        student: PreTrainedModel,
        layers: Sequence[int],
        weights: DistillLoss,
        task: AnyTrainingTask,
        bf16: bool = False,
    ) -> None:
        """Freeze the teacher, and give the student a projection if its width differs.

        `task` is the training side of the task; `bf16`: whether the teacher answers in bfloat16.
        """
        self.task, self.bf16 = task, bf16
        self.teacher = teacher.eval().requires_grad_(False)
        self.layers = list(layers)
        self.weights = weights
        self._states: dict[str, list[Tensor]] = {}
        self._calls: dict[str, int] = {}
        self._hooks: list[RemovableHandle] = []
        if weights.hidden and student.config.hidden_size != teacher.config.hidden_size:
            torch.manual_seed(0)
            student.add_module(PROJECTION, nn.Linear(student.config.hidden_size, teacher.config.hidden_size))
        if weights.relation:
            self._record("teacher", arch.encoder_layers(teacher)[: self.layers[-1] + 1])
            self._record("student", arch.encoder_layers(student))

    def __call__(self, student: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
        """Loss of one batch."""
        inputs = model_inputs(batch)
        deep = bool(self.weights.hidden)
        self._states.clear()
        device = inputs["input_ids"].device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            teacher_outputs = self.teacher.to(device)(**inputs, output_hidden_states=deep)
        student_outputs = student(**inputs, output_hidden_states=deep)
        loss = self._output_losses(student_outputs, teacher_outputs, batch)
        if deep:
            states = (student_outputs.hidden_states, teacher_outputs.hidden_states)
            loss = loss + self.weights.hidden * self._hidden_loss(student, *states, inputs["attention_mask"])
        if self.weights.relation:
            loss = loss + self.weights.relation * self._relation_loss(inputs["attention_mask"])
        return loss

    def detach(self, student: PreTrainedModel) -> None:
        """Remove hooks and projection from the student."""
        for hook in self._hooks:
            hook.remove()
        if hasattr(student, PROJECTION):
            delattr(student, PROJECTION)

    def _output_losses(self, student: PreTrainedModel, teacher: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
        ours, theirs = self.task.outputs(student), self.task.outputs(teacher)
        loss: Tensor = ours[0].new_zeros(())
        if self.weights.soft:
            loss = loss + self.weights.soft * self.task.soft_loss(ours, theirs, batch, self.weights.temperature)
        if self.weights.hard:
            loss = loss + self.weights.hard * self.task.hard_loss(ours, batch)
        return loss

    def _hidden_loss(
        self, student: PreTrainedModel, ours: Sequence[Tensor], theirs: Sequence[Tensor], attention_mask: Tensor
    ) -> Tensor:
        projection = getattr(getattr(student, "module", student), PROJECTION, None)
        # Index 0 is the embedding output; the output of layer i has index i + 1.
        pairs = [(0, 0)] + [(at + 1, layer + 1) for at, layer in enumerate(self.layers)]
        terms = []
        for at, layer in pairs:
            hidden = ours[at]
            hidden = hidden if projection is None else projection(hidden.float())
            terms.append(losses.hidden_state(hidden, theirs[layer], attention_mask))
        return torch.stack(terms).mean()

    def _relation_loss(self, attention_mask: Tensor) -> Tensor:
        terms = []
        for name in PROJECTIONS:
            ours, theirs = (self._states[f"{whose}.{name}"][self._calls[whose]] for whose in ("student", "teacher"))
            heads = losses.relation_heads(ours.shape[-1], theirs.shape[-1], self.teacher.config.num_attention_heads)
            terms.append(losses.relation(ours, theirs, attention_mask, heads))
        return torch.stack(terms).mean()

    def _record(self, whose: str, layers: Sequence[nn.Module]) -> None:
        """Record the projections of the last of these layers; one module may serve as several layers."""
        layer = layers[-1]
        self._calls[whose] = sum(other is layer for other in layers) - 1
        parts = arch.layer_parts(layer)
        for name in PROJECTIONS:

            def keep(module: nn.Module, inputs: object, output: Tensor, name: Projection = name) -> None:
                self._states.setdefault(f"{whose}.{name}", []).append(arch.projection(layer, name, output))

            self._hooks.append(getattr(parts, name).register_forward_hook(keep))
