"""Fine-tune a checkpoint on labelled text: the teacher."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from edgebert.compress import checkpoint
from edgebert.compress.batch import model_inputs
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.shortfalls import Standard
from edgebert.compress.train import Training, train
from edgebert.compress.validation import Validation
from edgebert.recipe import FinetuneSettings, settings_dict

if TYPE_CHECKING:
    from transformers import PreTrainedModel

VERSION = 5


def finetune(source: Path, data: TaskData, settings: FinetuneSettings, run: Run, out: Path) -> StageReport:
    """Train the whole model with the task's own loss.

    Args:
        source: Checkpoint folder; its head is kept if it fits the labels, and otherwise initialised from the seed.
        data: Labelled examples.
        settings: The recipe's `[finetune]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the trained model.

    Returns:
        The stage's arguments and the validation metric reached.
    """
    tokenizer = run.loaded.tokenizer(source)
    model = checkpoint.load_model(source, run.task, data.label_names, run.seed, data.labels.config)
    encoder, task = run.encoder(tokenizer, out), data.training_task
    training = Training(
        title="fine-tune",
        train=encode_rows(data.train, data, encoder),
        validate=Validation(data.validation, data, encoder, run.metric, tokenizer.pad_token_id),
        settings=settings,
        metric=run.metric,
        seed=run.seed,
        folder=out / "checkpoints",
        pad_id=tokenizer.pad_token_id,
        collate=task.collate,
        standard=Standard(
            "finetune",
            settings,
            run.metric,
            len(data.validation),
            learns_labels=True,
            guess_loss=task.guess_loss(data.train, data.labels),
        ),
        until=run.clock.until("finetune"),
    )

    def loss(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
        return task.hard_loss(task.outputs(model(**model_inputs(batch))), batch)

    metrics = train(model, training, loss)
    checkpoint.save_model(model, tokenizer, out)
    return StageReport("finetune", settings_dict(settings), metrics)
