"""The measured process: opens one bundle, does one job with it, writes one JSON document.

Run as `python -m edgebert.measure.child` with a job on standard input. Only the standard library is imported before the
clock starts, so import, load and first answer are what an application would see.
"""

from __future__ import annotations

import json
import sys
import time
from array import array
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.measure.memory import peak_rss_bytes
from edgebert.measure.others import processor_time, spent

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgebert.measure.job import Job
    from edgebert.runtime.model import Model


def main() -> int:
    """Do the job on standard input."""
    job: Job = json.load(sys.stdin)
    if job["scenario"] == "environment":
        return _environment()
    if job["scenario"] == "usable":
        return _usable(job)
    before = processor_time()
    marks = {"start_ns": time.monotonic_ns(), "start_rss": peak_rss_bytes()}
    from edgebert.runtime.load import load_bundle

    marks |= {"import_ns": time.monotonic_ns(), "import_rss": peak_rss_bytes()}
    folder, verify = Path(job["bundle"]), job.get("verify", True)
    arena, provider = job.get("arena", True), job.get("provider")
    model = load_bundle(folder, job["runtime"], job["threads"], verify=verify, arena=arena, provider=provider)
    marks |= {"load_ns": time.monotonic_ns(), "load_rss": peak_rss_bytes()}
    call = _call(model, job)
    call(0)
    marks |= {"first_ns": time.monotonic_ns(), "first_rss": peak_rss_bytes()}
    scenario = import_module(f"edgebert.measure.scenarios.{job['scenario']}")
    result = scenario.work(model, job, call)
    processor = spent(before, processor_time())
    document = {**marks, **result, "end_rss": peak_rss_bytes(), "processor": processor}
    document |= {"hashed": verify, "hash_ns": _hashing_ns(folder, model)}
    json.dump(document, sys.stdout, default=array.tolist)
    return 0


def _hashing_ns(folder: Path, model: Model) -> int:
    """Time the check of the bundle's hashes, which is part of loading; runs after everything that is measured."""
    from edgebert.bundle import check_files
    from edgebert.runtime.load import opened_files

    begin = time.monotonic_ns()
    check_files(folder, model.manifest, hashes=opened_files(model.manifest, model.runtime))
    return time.monotonic_ns() - begin


def _environment() -> int:
    """Describe this machine."""
    from edgebert.measure.environment import environment

    json.dump(environment(), sys.stdout)
    return 0


def _usable(job: Job) -> int:
    """Say why the job's runtime cannot run here, "" if it can; this opens the bundle."""
    from edgebert.errors import MissingDependencyError
    from edgebert.runtime.load import load_bundle

    reason = ""
    try:
        load_bundle(Path(job["bundle"]), job["runtime"], 1, verify=False)
    except MissingDependencyError as error:
        reason = str(error)
    json.dump({"unusable": reason}, sys.stdout)
    return 0


def _call(model: Model, job: Job) -> Callable[[int], object]:
    """The call to time: text to prediction, or for a fixed length token ids to outputs."""
    if job["length"]:
        from edgebert.runtime.encode import Encoded

        encoded = [Encoded(ids, [0] * len(ids), False) for ids in job["ids"]]
        return lambda at: model.run_alone(encoded[at % len(encoded)])
    texts = [text if isinstance(text, str) else tuple(text) for text in job["texts"]]
    return lambda at: model(texts[at % len(texts)])


if __name__ == "__main__":
    sys.exit(main())
