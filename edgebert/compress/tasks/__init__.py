"""Workstation half of every task, one file each, found by the task's name.

A file here has:

- `score(metric, expected, predicted)`: the metrics of the device half by the field's own library;
- `ROWS`: "first" where the head reads only the [CLS] row of the last layer, else "all";
- `read_labels(data, splits, folder, head, settings)`: `compress.data.Labels` of the files (`head`: the labels of the
  checkpoint's own head where it is to be kept);
- `model_class(config)`: what loads a checkpoint with the task's head (`from_pretrained`, `from_config`);
- `outputs(result)`: tensors of a forward pass, in the order of the device half's `OUTPUTS`;
- `targets(task, example, windows)`: what is to be learnt about each window of a row, name by name: a number, an array
  of fixed width, or a list with one number a token;
- `training_windows(task, example)`, where a file has it: what training reads of a row, where that is not what the
  device is asked (`task.encode(task.given(example))`);
- `collate(items, pad_id)`, where a file has it: a batch of such windows with their targets, in place of
  `compress.data.pad_batch`;
- `hard_loss(outputs, batch)` and `soft_loss(ours, theirs, batch, temperature)`: mean losses against what is right and
  against the teacher;
- `head(model)`: module from the encoder's rows (batch, rows, width) and the attention mask to the tuple of outputs;
- `tune(task, predictions, expected)`, where a file has it: entries for the manifest's `head` that are chosen on the
  validation split with the finished graph (thresholds);
- `HEADLESS = True`, where a file has it: the task puts no weights on the encoder, so any encoder can be taken as it is,
  and fine-tuning "where needed" is fine-tuning;
- `OUTPUTS_VOCABULARY = True`, where a file has it: the outputs have a figure for every piece of the tokenizer;
- `observed(task, givens, outputs)`, if a file has it: a sentence about the outputs for the parity texts that a user
  should read at export, "" for none;
- `check_width(width)` and `pooled_width(hidden_size)`, where a file has them: refuse settings that vectors so wide
  cannot serve, and say how wide those of an encoder are;
- `GRAPH_SEGMENTS`, where a file has it: texts in one input of the graph, where that is not what one row holds.

Where all this depends on the recipe's `[head]` table, a file has `HALF` instead: a class that is made from the settings
as the manifest holds them, with these names as attributes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any


def workstation_half(task: str, settings: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401
    """Module of a task, or its `HALF` for these settings; the defaults if None."""
    module = importlib.import_module(f"{__name__}.{task.replace('-', '_')}")
    return module.HALF(settings or {}) if hasattr(module, "HALF") else module
