"""Where a prediction's time goes, operator by operator, from the runtime's own counters.

Runs in a process of its own: counting slows a run, so its times are to be read as shares, never as latencies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edgebert.measure.job import Answer, Job, Operator
from edgebert.runtime.load import opening_of
from edgebert.runtime.model import Model
from edgebert.runtime.session import OperatorRun
from edgebert.runtimes import RUNTIMES


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """In the measured process: predict on a session that is opened as the bundle's own is, but for its counters.

    Args:
        model: The opened bundle.
        job: `bundle`, `runtime`, `threads`, perhaps a `provider`, and how many predictions: `warmup` and `samples`.
        call: One prediction of the model.

    Returns:
        `operators`, by type, and `nodes`, by name: both of a prediction on average, slowest first.
    """
    with TemporaryDirectory(prefix="edgebert-") as folder:
        opening = opening_of(
            Path(job["bundle"]), model.manifest, job["runtime"], job["threads"], provider=job.get("provider")
        )
        session = RUNTIMES[job["runtime"]].open_profiled(opening, Path(folder))
        model.run_on(session)
        for at in range(job["warmup"]):
            call(at)
        session.start()
        for at in range(job["samples"]):
            call(at)
        ran = session.ran()
    return {"operators": by_type(ran, job["samples"]), "nodes": by_node(ran, job["samples"])}


def by_type(ran: Sequence[OperatorRun], predictions: int) -> list[Operator]:
    """A row for every type of operator: `op`, `count` and `us` of a prediction, `share` of the time, slowest first."""
    return _table(ran, predictions, lambda each: {"op": each.op})


def by_node(ran: Sequence[OperatorRun], predictions: int) -> list[Operator]:
    """A row for every operator of the graph: also its name, and the shapes that it had the last time."""
    last = {each.node: each for each in ran}
    rows = _table(ran, predictions, lambda each: {"node": each.node, "op": each.op})
    return [{**row, "inputs": last[row["node"]].inputs, "outputs": last[row["node"]].outputs} for row in rows]


def _table(ran: Sequence[OperatorRun], predictions: int, key: Callable[[OperatorRun], Operator]) -> list[Operator]:
    times: dict[tuple[object, ...], list[float]] = {}
    titles = {tuple(key(each).values()): key(each) for each in ran}
    for each in ran:
        times.setdefault(tuple(key(each).values()), []).append(each.us)
    total = sum(each.us for each in ran) or 1.0
    rows: list[Operator] = [
        {
            **titles[at],
            "count": round(len(found) / predictions, 2),
            "us": round(sum(found) / predictions, 2),
            "share": round(sum(found) / total, 4),
        }
        for at, found in times.items()
    ]
    return sorted(rows, key=lambda row: -row["us"])
