"""Train after pruning: the smaller model learns from the teacher again."""

from __future__ import annotations

from pathlib import Path

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData
from edgebert.compress.distill import Lesson, Teacher, train_student
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.recipe import PruneSettings


def recover(
    source: Path, teacher: Teacher, data: TaskData, settings: PruneSettings, run: Run, out: Path
) -> StageReport:
    """Distil the teacher into the pruned model.

    Args:
        source: Folder of the pruned model.
        teacher: The teacher, and the teacher layers that the model's layers correspond to.
        data: Labelled and unlabelled examples.
        settings: The recipe's `[prune]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the recovered model.
    """
    student = checkpoint.load_model(source, run.task, data.label_names)
    lesson = Lesson("recover", "prune.recover", settings.recover, settings.loss)
    return train_student(student, teacher, data, lesson, run, out)
