#!/usr/bin/env bash
# transformers 5.23.0 (torch 2.13.0, accelerate 1.15.0): a Trainer that resumes from the checkpoint of its last step
# does one step more than max_steps if that step is in the middle of an epoch. It evaluates there, and may choose those
# weights as the best ones. The reason is that it checks max_steps only after a step.
#
# Seen: "whole run: 5 steps", "resumed from checkpoint-5: 6 steps".
# Exits with 0 while this is so.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0
"$folder/venv/bin/pip" install --quiet transformers==5.23.0 accelerate==1.15.0
cat > "$folder/resume.py" <<'PYTHON'
import sys

import torch
from transformers import Trainer, TrainingArguments


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)

    def forward(self, x, labels=None):
        return {"loss": ((self.linear(x) - labels) ** 2).mean()}


torch.manual_seed(0)
rows = [{"x": torch.randn(2), "labels": torch.randn(1)} for _ in range(40)]  # ten batches of four an epoch


def steps(resume=None):
    arguments = TrainingArguments(
        output_dir=sys.argv[1], max_steps=5, per_device_train_batch_size=4, save_strategy="steps", save_steps=1,
        report_to="none", disable_tqdm=True, use_cpu=True,
    )
    trainer = Trainer(model=Line(), args=arguments, train_dataset=rows)
    trainer.train(resume_from_checkpoint=resume)
    return trainer.state.global_step


whole, resumed = steps(), steps(f"{sys.argv[1]}/checkpoint-5")
print(f"whole run: {whole} steps\nresumed from checkpoint-5: {resumed} steps")
sys.exit(0 if (whole, resumed) == (5, 6) else 1)
PYTHON
"$folder/venv/bin/python" "$folder/resume.py" "$folder/out"
