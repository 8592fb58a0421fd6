"""Training that recovers from pruning: the cut model learns from the teacher once more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgebert.compress import arch, checkpoint
from edgebert.compress.data import TaskData
from edgebert.compress.distill import train_student
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.recipe import PruneSettings


def recover(
    source: Path,
    teacher: Path,
    layers: Sequence[int] | None,
    data: TaskData,
    settings: PruneSettings,
    run: Run,
    out: Path,
) -> StageReport:
    """Distil the teacher into the pruned model.

    Args:
        source: Folder of the pruned model.
        teacher: Folder of the teacher.
        layers: Teacher layers that the model's layers stand for; all of them if None.
        data: Labelled and unlabelled examples.
        settings: The recipe's `[prune]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the recovered model.
    """
    student = checkpoint.load_model(source, run.task, data.label_names)
    layers = layers or range(len(arch.encoder_layers(student)))
    return train_student(student, teacher, layers, data, settings.recover, settings.loss, run, out, "recover")
