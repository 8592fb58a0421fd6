#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0, accelerate 1.15.0): a Trainer with EarlyStoppingCallback that resumes from the
# checkpoint at which it stopped continues to train, even with restore_callback_states_from_checkpoint=True. The
# restored control has should_training_stop, but the call of on_train_begin resets it before the first step. Without
# that argument (the default) the count of evaluations also starts at zero, so a killed and resumed run stops later than
# an uninterrupted one. If a later evaluation is better, the Trainer then chooses it as the best.
#
# Seen: "whole run: 3 steps", "resumed at its end: 4 steps with restored callbacks, 5 without".
# Exits with 0 while this is so.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 accelerate==1.15.0
cat > "$folder/resume.py" <<'PYTHON'
import shutil
import sys

import torch
from transformers import EarlyStoppingCallback, Trainer, TrainingArguments


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x, labels=None):
        return {"loss": ((self.linear(x) - labels) ** 2).mean()}


class Falling(Trainer):
    """Its metric is best at the first evaluation."""

    def evaluate(self, *arguments, **named):
        metrics = {"eval_score": 1.0 / self.state.global_step}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


torch.manual_seed(0)
rows = [{"x": torch.randn(2), "labels": torch.randn(1)} for _ in range(40)]


def steps(folder, resume=None, restore=False):
    arguments = TrainingArguments(
        output_dir=folder, max_steps=30, per_device_train_batch_size=4, report_to="none", disable_tqdm=True, use_cpu=True,
        eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, load_best_model_at_end=True,
        metric_for_best_model="score", greater_is_better=True, restore_callback_states_from_checkpoint=restore,
    )
    callbacks = [EarlyStoppingCallback(early_stopping_patience=2)]
    trainer = Falling(model=Line(), args=arguments, train_dataset=rows, eval_dataset=rows, callbacks=callbacks)
    trainer.train(resume_from_checkpoint=resume)
    return trainer.state.global_step


out = sys.argv[1]
whole = steps(out)
resumed = []
for restore in (True, False):
    shutil.copytree(out, f"{out}-{restore}")
    resumed.append(steps(f"{out}-{restore}", f"{out}-{restore}/checkpoint-{whole}", restore))
print(f"whole run: {whole} steps")
print(f"resumed at its end: {resumed[0]} steps with restored callbacks, {resumed[1]} without")
sys.exit(0 if (whole, *resumed) == (3, 4, 5) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/resume.py" "$folder/out"
