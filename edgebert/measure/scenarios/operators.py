"""Time of a prediction by operator, from the runtime's own counters.

Runs in a separate process. Counting slows a run, so read its times as shares, never as latencies.
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
    """In the measured process: predict with a session opened like the bundle's own, but with counters.

    Args:
        model: The opened bundle.
        job: `bundle`, `runtime`, `threads`, optionally `provider`, and the number of predictions: `warmup` and
            `samples`.
        call: One prediction of the model.

    Returns:
        `operators` by type and `nodes` by name, averaged over predictions, slowest first.
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
    """One row per operator type: `op`, `count` and `us` per prediction, `share` of the time; slowest first."""
    return _table(ran, predictions, lambda each: {"op": each.op})


def by_node(ran: Sequence[OperatorRun], predictions: int) -> list[Operator]:
    """One row per node of the graph, with its name and its most recent shapes."""
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
