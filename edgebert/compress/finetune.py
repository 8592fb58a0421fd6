"""Fine-tune a checkpoint on labelled text: the teacher."""

from __future__ import annotations

from pathlib import Path

from edgebert.compress import checkpoint
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.train import Training, train
from edgebert.recipe import FinetuneSettings, settings_dict

VERSION = 1


def finetune(source: Path, data: TaskData, settings: FinetuneSettings, run: Run, out: Path) -> StageReport:
    """Train the whole model with the task's own loss (Devlin et al. 2019, arXiv:1810.04805, section 4.1).

    Args:
        source: Checkpoint folder; its head is kept where it fits the labels, else drawn from the seed.
        data: Labelled examples.
        settings: The recipe's `[finetune]` table.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the trained model.

    Returns:
        The stage's arguments and the validation metric reached.
    """
    tokenizer = checkpoint.load_tokenizer(source)
    model = checkpoint.load_model(source, run.task, data.label_names, run.seed)
    encoder = run.encoder(tokenizer, out)
    training = Training(
        title="fine-tune",
        train=encode_rows(data.train, encoder, data.label_values),
        validation=encode_rows(data.validation, encoder, data.label_values),
        settings=settings,
        metric=run.metric,
        seed=run.seed,
        folder=out / "checkpoints",
        pad_id=tokenizer.pad_token_id,
    )
    metrics = train(model, training)
    checkpoint.save_model(model, tokenizer, out)
    return StageReport("finetune", settings_dict(settings), metrics)
