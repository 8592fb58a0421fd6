"""The measured process: opens one bundle, does one thing with it, writes one JSON document.

Run as `python -m edgebert.measure.child` with a job on standard input. Nothing but the standard library is imported
before the clock runs, so that import, load and first answer are what an application would see.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebert.measure.memory import peak_rss_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgebert.runtime.model import Model


def main() -> int:
    """Do the job on standard input."""
    job: dict[str, Any] = json.load(sys.stdin)
    if job["scenario"] == "environment":
        return _environment()
    marks = {"start_ns": time.monotonic_ns(), "start_rss": peak_rss_bytes()}
    from edgebert.runtime.load import load_bundle

    marks |= {"import_ns": time.monotonic_ns(), "import_rss": peak_rss_bytes()}
    model = load_bundle(Path(job["bundle"]), job["runtime"], job["threads"], False, job.get("provider"))
    marks |= {"load_ns": time.monotonic_ns(), "load_rss": peak_rss_bytes()}
    call = _call(model, job)
    call(0)
    marks |= {"first_ns": time.monotonic_ns(), "first_rss": peak_rss_bytes()}
    work = {
        "single_stream": _single_stream,
        "offline": _offline,
        "memory": _memory,
        "quality": _quality,
        "answers": _answers,
    }
    result = work[job["scenario"]](model, job, call)
    json.dump({**marks, **result, "end_rss": peak_rss_bytes()}, sys.stdout)
    return 0


def _environment() -> int:
    """What this machine is."""
    from edgebert.measure.environment import environment

    json.dump(environment(), sys.stdout)
    return 0


def _call(model: Model, job: dict[str, Any]) -> Callable[[int], Any]:
    """What is timed: text to prediction, or, for a fixed length, token ids to outputs."""
    if job["length"]:
        from edgebert.runtime.encode import Encoded

        encoded = [Encoded(ids, [0] * len(ids), False) for ids in job["ids"]]
        return lambda at: model.run_encoded([encoded[at % len(encoded)]])
    texts = _texts(job)
    return lambda at: model(texts[at % len(texts)])


def _texts(job: dict[str, Any]) -> list[Any]:
    return [text if isinstance(text, str) else tuple(text) for text in job["texts"]]


def _single_stream(model: Model, job: dict[str, Any], call: Callable[[int], Any]) -> dict[str, Any]:
    """One prediction after another. Returns every latency, in nanoseconds, in the order of the texts."""
    for at in range(job["warmup"]):
        call(at)
    gc.collect()
    gc.disable()
    latencies_ns = []
    for at in range(job["samples"]):
        begin = time.perf_counter_ns()
        call(at)
        latencies_ns.append(time.perf_counter_ns() - begin)
    return {"latencies_ns": latencies_ns}


def _offline(model: Model, job: dict[str, Any], call: Callable[[int], Any]) -> dict[str, Any]:
    """All texts at once, in batches of like length. Returns texts and nanoseconds."""
    texts = _texts(job)
    model(texts[: job["batch_size"] * 2], batch_size=job["batch_size"])
    begin = time.perf_counter_ns()
    model(texts, batch_size=job["batch_size"])
    return {"texts": len(texts), "total_ns": time.perf_counter_ns() - begin}


def _memory(model: Model, job: dict[str, Any], call: Callable[[int], Any]) -> dict[str, Any]:
    """Enough predictions to reach the steady state; the marks hold the peaks."""
    for at in range(job["samples"]):
        call(at)
    return {}


def _quality(model: Model, job: dict[str, Any], call: Callable[[int], Any]) -> dict[str, Any]:
    """The metric on a labelled file, one text at a time, as the device would answer."""
    from edgebert.measure.data import read_rows
    from edgebert.measure.quality import evaluate

    return {"quality": evaluate(model, read_rows(Path(job["data"]), model.manifest), job["metric"]).as_dict()}


def _answers(model: Model, job: dict[str, Any], call: Callable[[int], Any]) -> dict[str, Any]:
    """Every answer to a data file, to be compared with another machine's."""
    from edgebert.measure.answers import work

    return work(model, job, call)


if __name__ == "__main__":
    sys.exit(main())
