"""The metric on a labelled file, one text at a time, as on the device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgebert.data.named import Named
from edgebert.measure.job import Answer, Job
from edgebert.runtime.model import Model
from edgebert.runtime.quality import QualityRow, answer, metric_of, quality_of, with_units
from edgebert.runtime.rows import read_rows


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """The metric with its interval, and the metric's table with one row per text."""
    metric = metric_of(model.manifest.task, job["metric"])
    named = Named(**job["named"]) if "named" in job else Named()
    answers = answer(model, read_rows(Path(job["data"]), model.manifest, named, model.task.find_tokens))
    table = metric.table(answers.expected, answers.predicted)
    quality: QualityRow = {**quality_of(job["metric"], metric, table).as_dict(), **answers.counted()}
    return {"quality": with_units(quality, model.manifest.task), "table": table.tolist()}
