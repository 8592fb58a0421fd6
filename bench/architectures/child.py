"""The measured process: one architecture on one runtime with one job.

Run it as `python -m bench.architectures.child` with a job on standard input. It writes one JSON document to standard
output.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebert.measure.loop import quiet
from edgebert.measure.memory import peak_rss_bytes
from edgebert.measure.others import processor_time, spent

TEXTS = 4
# Warm-up generates only a few tokens: a complete long generation would take as long as a sample.
WARM_TOKENS = 3


def main() -> int:
    """Run the job from standard input."""
    given: dict[str, Any] = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):
        document = measure(given)
    json.dump(document, sys.stdout)
    return 0


def measure(given: dict[str, Any]) -> dict[str, Any]:
    """Load, warm up, and read the clock at each measured label token.

    Returns:
        `marks_ns`: for each answer, the nanoseconds from its start to each measured token; peak memory after import,
        after load and after the last answer; and processor times.
    """
    from bench.architectures.jobs import jobs
    from bench.architectures.prepare import text

    before = processor_time()
    job = next(job for job in jobs(given["tiny"]) if job.name == given["job"])
    texts = [text(job, number, given["seed"]) for number in range(TEXTS)]
    runtime = _imported(given["runtime"], given["architecture"], job.tags)
    import_rss = peak_rss_bytes()
    answer = runtime.open_model(given["architecture"], Path(given["folder"]), job, given["threads"])
    load_rss = peak_rss_bytes()
    short = replace(job, label_tokens=(min(WARM_TOKENS, job.generated),))
    for at in range(given["warmup"]):
        answer(texts[at % TEXTS], short, lambda: None)
    quiet()
    found = [marks(lambda mark, at=at: answer(texts[at % TEXTS], job, mark)) for at in range(given["samples"])]
    encodes = len(found[0]) == 1
    kept = [each if encodes else [each[count - 1] for count in job.label_tokens] for each in found]
    return {
        "marks_ns": kept,
        "import_rss": import_rss,
        "load_rss": load_rss,
        "peak_rss": peak_rss_bytes(),
        "processor": spent(before, processor_time()),
    }


def marks(answer: Callable[[Callable[[], None]], Any], clock: Callable[[], int] = time.perf_counter_ns) -> list[int]:
    """Run one answer; return the nanoseconds from its start to each call of `mark`."""
    seen: list[int] = []
    begin = clock()
    answer(lambda: seen.append(clock()))
    return [at - begin for at in seen]


def _imported(runtime: str, architecture: str, tags: bool) -> Any:
    """Import the runtime's module and everything that it needs, including the model's class."""
    if runtime == "onnxruntime":
        import onnxruntime  # noqa: F401

        from bench.architectures import onnx_runtime

        return onnx_runtime
    import torch  # noqa: F401
    import transformers

    from bench.architectures import models, torch_runtime

    getattr(transformers, models.class_name(architecture, tags))
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return torch_runtime


if __name__ == "__main__":
    sys.exit(main())
