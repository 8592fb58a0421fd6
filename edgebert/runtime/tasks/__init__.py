"""Device half of every task, one file each, found by the task's name.

A file here has `METRICS` (name to `metrics.scores.Metric`, the default first), `Settings` (a frozen dataclass of what
a recipe's `[head]` table may say), `read(path, columns, settings)` (a data file to examples), and `TASK`, a class with
the shape of `runtime.model.Task` that is made from a manifest and an encoder. `MODEL`, where a file has it, is what
`edgebert.load` gives in place of `runtime.model.Model`; `KEYS`, where a file has it, are the two columns that
`edgebert predict --input` reads in place of `text` and `text_pair`; `DATA`, where a file has it, says what a labelled
file is, where that is no table of the recipe's columns. `BY_LABEL`, in tasks with labels, is a tuple of functions
`(labels, expected, predicted, unknown) -> metrics.by_label.Breakdown`, for `edgebert evaluate --by-label`. There `TASK`
also has `known`, what a data file may hold, `unknown(example)`, the labels of a row that the model does not have, and a
second argument of `expected`: those of them that are to be counted as wrong.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any


def task_names() -> list[str]:
    """Names of the tasks that this EdgeBERT knows."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def device_half(task: str) -> Any:  # noqa: ANN401
    """Module of a task.

    Raises:
        ValueError: There is none; the message lists those that there are.
    """
    if task not in task_names():
        raise ValueError(f"task {task!r} is not known; this EdgeBERT knows {', '.join(task_names())}")
    return importlib.import_module(f"{__name__}.{task.replace('-', '_')}")
