"""Fine-tune a checkpoint on labelled text: the teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData, collator, encode_rows, model_inputs
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.train import Training, train
from edgebert.compress.validation import Validation
from edgebert.recipe import FinetuneSettings, settings_dict

VERSION = 4


def finetune(source: Path, data: TaskData, settings: FinetuneSettings, run: Run, out: Path) -> StageReport:
    """Train the whole model with the task's own loss.

    Args:
        source: Checkpoint folder; its head is kept where it fits the labels, else drawn from the seed.
        data: Labelled examples.
        settings: The recipe's `[finetune]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the trained model.

    Returns:
        The stage's arguments and the validation metric reached.
    """
    tokenizer = run.loaded.tokenizer(source)
    model = checkpoint.load_model(source, run.task, data.label_names, run.seed, data.labels.config)
    encoder, half = run.encoder(tokenizer, out), data.half
    training = Training(
        title="fine-tune",
        train=encode_rows(data.train, data, encoder),
        validate=Validation(data.validation, data, encoder, run.metric, tokenizer.pad_token_id),
        settings=settings,
        metric=run.metric,
        seed=run.seed,
        folder=out / "checkpoints",
        pad_id=tokenizer.pad_token_id,
        collate=collator(half),
    )

    def loss(model: Any, batch: dict[str, Tensor]) -> Tensor:  # noqa: ANN401
        value: Tensor = half.hard_loss(half.outputs(model(**model_inputs(batch))), batch)
        return value

    metrics = train(model, training, loss)
    checkpoint.save_model(model, tokenizer, out)
    return StageReport("finetune", settings_dict(settings), metrics)
