"""Every answer to a data file with its outputs, to compare two machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from edgebert.data.named import Named
from edgebert.data.unknown import gold
from edgebert.measure.job import Answer, Job
from edgebert.runtime.model import Model
from edgebert.runtime.quality import Answers, QualityRow, measure_quality, with_units
from edgebert.runtime.rows import read_texts
from edgebert.runtime.session import Outputs
from edgebert.strict_json import Json

FIGURES_KEPT = 256


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """Answer the job's data file one text at a time, as a device does.

    Returns:
        `answers`, in the form that the task's metrics compare; for each text `outputs`, the output values to compare,
        and `not_finite`, the number of output values that are NaN or infinite; `quality`, None for a file without
        labels or if any output is not finite.

    Raises:
        DataError: The file cannot be used.
    """
    task, predicted, outputs, not_finite = model.task, [], [], []
    named = Named(**job["named"]) if "named" in job else Named()
    examples = read_texts(Path(job["data"]), model.manifest, named, model.task.find_tokens)
    expected, unknown = gold(task, [example for example in examples if example.label is not None])
    for example in examples:
        given = task.given(example)
        windows = task.encode(given)
        found = model.outputs(windows)
        predicted.append(task.predicted(task.decode(given, windows, found)))
        outputs.append(figures(found))
        not_finite.append(sum(int(np.sum(~np.isfinite(output))) for window in found for output in window))
    quality: QualityRow | None = None
    if len(expected) == len(predicted) and not any(not_finite):
        chosen = model.task.spec.metrics[job["metric"]]
        row = measure_quality(job["metric"], chosen, expected, predicted).as_dict()
        quality = with_units({**row, **Answers(expected, predicted, 0, unknown).counted()}, model.manifest.task)
    answers = [plain(answer) for answer in predicted]
    return {"answers": answers, "outputs": outputs, "not_finite": not_finite, "quality": quality}


def figures(found: Sequence[Outputs]) -> list[float]:
    """Up to 256 values of every output of every window, evenly spread from the first to the last."""
    kept: list[float] = []
    for output in (output.ravel() for window in found for output in window):
        places = np.linspace(0, output.size - 1, min(output.size, FIGURES_KEPT)).round().astype(int)
        kept += output[places].tolist()
    return kept


def plain(answer: object) -> Json:
    """Convert an answer to plain JSON values.

    Raises:
        TypeError: JSON cannot represent it.
    """
    if isinstance(answer, np.ndarray | np.generic):
        return plain(answer.tolist())
    if isinstance(answer, set | frozenset):
        return [*map(plain, sorted(answer))]
    if isinstance(answer, list | tuple):
        return [plain(item) for item in answer]
    if answer is None or isinstance(answer, bool | int | float | str):
        return answer
    raise TypeError(f"an answer of kind {type(answer).__name__}; JSON has none")
