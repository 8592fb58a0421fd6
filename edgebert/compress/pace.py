"""How long trainings take on this machine, by a few measured steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgebert.compress import checkpoint
from edgebert.compress.batch import model_inputs
from edgebert.compress.data import TaskData, encode_rows
from edgebert.compress.dropout import QuickDropout
from edgebert.compress.numbers import Ground, stage_settings, weights_of
from edgebert.compress.report import StageReport
from edgebert.compress.run import Run
from edgebert.compress.train import LengthGroupedSampler, has_bf16
from edgebert.recipe import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from edgebert.tasks.training import AnyTrainingTask

VERSION = 1
STAGE = "pace"
# Windows in a batch that is timed, batches before the clock runs, and batches that are timed, at most so many seconds.
BATCH, WARM_UP, STEPS, MAX_SECONDS = 32, 2, 8, 20.0
# The trainer, checkpoints and a busier machine take more than bare steps.
MARGIN = 1.25
# The embeddings and the head, in encoder layers.
BESIDE_LAYERS = 2
# To write and to hash a checkpoint with its optimizer, and more for each of the encoder's weights.
SAVE_SECONDS, WEIGHT_SECONDS = 0.5, 4e-8


@dataclass(frozen=True)
class Pace:
    """Seconds of one window in a training step, and in a forward pass."""

    step: float
    forward: float


def measure_pace(source: Path, data: TaskData, run: Run, out: Path) -> StageReport:
    """Time a few training steps of a checkpoint on its own data.

    Args:
        source: Folder of the checkpoint.
        data: Rows to train on.
        run: Task, metric, seed and token limit of the export.
        out: Folder for the report.

    Returns:
        Seconds of one window, in a training step and in a forward pass.
    """
    tokenizer, task = run.loaded.tokenizer(source), data.training_task
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = checkpoint.load_model(source, run.task, data.label_names, run.seed, data.labels.config)
    model.to(device).train().requires_grad_(True)
    wanted = BATCH * (WARM_UP + STEPS)
    rows = encode_rows(data.train[:: max(1, len(data.train) // wanted)], data, run.encoder(tokenizer, out))
    order = list(LengthGroupedSampler([len(row.ids) for row in rows.rows], BATCH, run.seed))
    groups = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    batches = ([rows[at] for at in group] for group in cycle(groups))
    made = ({name: t.to(device) for name, t in task.collate(b, tokenizer.pad_token_id).items()} for b in batches)
    with torch.autocast(device.type, torch.bfloat16, enabled=has_bf16()):
        steps, forwards = _timed(model, task, made)
    return StageReport(STAGE, {}, {"step": steps, "forward": forwards})


def _timed(
    model: PreTrainedModel, task: AnyTrainingTask, batches: Iterator[Mapping[str, Tensor]]
) -> tuple[float, float]:
    """Seconds of one window in a step with its update, and in a forward pass."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, fused=True)
    times: list[tuple[float, float]] = []
    begun = time.perf_counter()
    with nullcontext() if torch.cuda.is_available() else QuickDropout():
        for batch in islice(batches, WARM_UP + STEPS):
            if len(times) > WARM_UP and time.perf_counter() - begun > MAX_SECONDS:
                break
            count, started = len(next(iter(batch.values()))), time.perf_counter()
            loss = task.hard_loss(task.outputs(model(**model_inputs(dict(batch)))), dict(batch))
            forward = time.perf_counter()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            optimizer.zero_grad()
            loss.item()  # a GPU is done only now
            times.append(((time.perf_counter() - started) / count, (forward - started) / count))
    kept = times[WARM_UP:]
    step, forward = (sum(column) / len(kept) for column in zip(*kept, strict=True))
    return step, min(forward, step / 3)


def expected_seconds(recipe: Recipe, ground: Ground, pace: Pace, held_out: int) -> dict[str, float]:
    """Seconds that each training stage is expected to take.

    Args:
        recipe: With every number.
        ground: Rows, and the checkpoint's layers.
        pace: Of the checkpoint.
        held_out: Rows to validate on.
    """
    whole = ground.layers + BESIDE_LAYERS
    found: dict[str, float] = {}
    for stage, settings in stage_settings(recipe).items():
        layers, width = ground.shape(recipe, stage)
        part = (layers + BESIDE_LAYERS) / whole * width / ground.width
        taught = stage != "finetune"
        window = pace.step * part + pace.forward * taught
        numbers = settings.numbers
        windows = numbers.epochs * ground.rows_of(stage)
        evaluations = math.ceil(numbers.epochs * numbers.evaluations_per_epoch)
        evaluation = held_out * pace.forward * part + SAVE_SECONDS + WEIGHT_SECONDS * weights_of(layers, width)
        found[stage] = MARGIN * (windows * window + evaluations * evaluation)
    return found
