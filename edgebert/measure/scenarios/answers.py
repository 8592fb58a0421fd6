"""Every answer to a data file, and the outputs behind it, so that two machines can be compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.measure.data import read_texts
from edgebert.measure.quality import measure_quality
from edgebert.runtime.model import Model
from edgebert.runtime.tasks import device_half

OUTPUTS_KEPT = 256


def work(model: Model, job: dict[str, Any], call: Callable[[int], object]) -> dict[str, Any]:
    """Answer the job's data file one text at a time, as a device does.

    Returns:
        `answers`, in the form that the task's metrics compare; `outputs`, the first 256 figures of the graph's outputs
        for each text; `quality`, None for a file without labels.

    Raises:
        DataError: The file cannot be used.
    """
    task, expected, predicted, outputs = model.task, [], [], []
    examples = read_texts(Path(job["data"]), model.manifest)
    for example in examples:
        given = task.given(example)
        windows = task.encode(given)
        found = model.outputs(windows)
        predicted.append(task.predicted(task.decode(given, windows, found)))
        figures = np.concatenate([output.ravel() for window in found for output in window])
        outputs.append([float(figure) for figure in figures[:OUTPUTS_KEPT]])
        if example.label is not None:
            expected.append(task.expected(example))
    quality = None
    if len(expected) == len(predicted):
        chosen = device_half(model.manifest["task"]).METRICS[job["metric"]]
        quality = measure_quality(job["metric"], chosen, expected, predicted).as_dict()
    return {"answers": [plain(answer) for answer in predicted], "outputs": outputs, "quality": quality}


def plain(answer: Any) -> Any:  # noqa: ANN401
    """An answer as JSON carries it."""
    if isinstance(answer, np.ndarray | np.generic):
        return answer.tolist()
    if isinstance(answer, set | frozenset):
        return sorted(map(plain, answer))
    if isinstance(answer, list | tuple):
        return [plain(item) for item in answer]
    return answer
