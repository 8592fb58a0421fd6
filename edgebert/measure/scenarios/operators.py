"""Where a prediction's time goes, operator by operator, from the runtime's own counters.

Runs in a process of its own: counting slows a run, so its times are to be read as shares, never as latencies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgebert.measure.job import Answer, Job, Operator
from edgebert.runtime.load import open_session
from edgebert.runtime.model import Model
from edgebert.runtime.session import Ids, OnnxSession, OpenVinoSession, Outputs, Session

# What a run of ONNX Runtime takes beside its operators.
OUTSIDE = "(outside operators)"


@dataclass(frozen=True)
class Ran:
    """An operator that ran once: its name in the graph, its type, microseconds, and its inputs' and outputs' shapes."""

    node: str
    op: str
    us: float
    inputs: object = None
    outputs: object = None


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
        session = open_session(
            Path(job["bundle"]),
            model.manifest,
            job["runtime"],
            job["threads"],
            profile=Path(folder) / "operators",
            provider=job.get("provider"),
        )
        watched = _Watched(session)
        model.run_on(watched)
        for at in range(job["warmup"]):
            call(at)
        watched.start()
        for at in range(job["samples"]):
            call(at)
        ran = watched.ran()
    return {"operators": by_type(ran, job["samples"]), "nodes": by_node(ran, job["samples"])}


class _Watched:
    """A session that is asked after its runs what ran."""

    def __init__(self, session: Session) -> None:
        self._session, self.batching = session, session.batching
        self._runs = self._skipped = 0
        self._ran: list[Ran] = []

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch."""
        outputs = self._session.run(inputs)
        self._runs += 1
        # OpenVINO keeps the counters of the last run alone.
        if isinstance(self._session, OpenVinoSession):
            self._ran += [Ran(name, op, us) for name, op, us in self._session.operator_times()]
        return outputs

    def start(self) -> None:
        """Leave out what ran until now."""
        self._ran, self._skipped = [], self._runs

    def ran(self) -> list[Ran]:
        """Everything that ran since the start."""
        if isinstance(self._session, OnnxSession):
            events = json.loads(self._session.end_profiling().read_text(encoding="utf-8"))
            return onnx_ran(events, self._skipped)
        return self._ran


def onnx_ran(events: Iterable[dict[str, Any]], skipped: int = 0) -> list[Ran]:
    """What ran, from the events that ONNX Runtime's profiler writes (onnxruntime.ai/docs/performance/tune-performance).

    Args:
        events: Every event of the file.
        skipped: Runs at the beginning that are left out.

    Returns:
        Operators in their order, and for every run what is left of its time as `OUTSIDE`.
    """
    known = [event for event in events if event.get("ph") == "X"]
    runs = sorted((event for event in known if event["name"] == "model_run"), key=lambda event: event["ts"])[skipped:]
    if not runs:
        return []
    kernels = [event for event in known if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    counted = [event for event in kernels if event["ts"] >= runs[0]["ts"]]
    ran = [_ran(event) for event in counted]
    outside = sum(run["dur"] for run in runs) - sum(each.us for each in ran)
    return [*ran, *[Ran(OUTSIDE, OUTSIDE, max(0.0, outside) / len(runs))] * len(runs)]


def _ran(event: dict[str, Any]) -> Ran:
    facts = event["args"]
    name = event["name"].removesuffix("_kernel_time")
    return Ran(name, facts["op_name"], event["dur"], facts.get("input_type_shape"), facts.get("output_type_shape"))


def by_type(ran: Sequence[Ran], predictions: int) -> list[Operator]:
    """A row for every type of operator: `op`, `count` and `us` of a prediction, `share` of the time, slowest first."""
    return _table(ran, predictions, lambda each: {"op": each.op})


def by_node(ran: Sequence[Ran], predictions: int) -> list[Operator]:
    """A row for every operator of the graph: also its name, and the shapes that it had the last time."""
    last = {each.node: each for each in ran}
    rows = _table(ran, predictions, lambda each: {"node": each.node, "op": each.op})
    return [{**row, "inputs": last[row["node"]].inputs, "outputs": last[row["node"]].outputs} for row in rows]


def _table(ran: Sequence[Ran], predictions: int, key: Callable[[Ran], Operator]) -> list[Operator]:
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
