"""The measured process of every contender: import, load, answer, and time one text after another.

Run it as `python -P measure.py` with a job on standard input, with the interpreter of the contender's own environment.
A contender is a file in this folder with a function `load(job)`. It returns a function from a text to its scores or its
embedding. An optional `prepare(job)` writes the files that `load` opens to `job["folder"]`. The imports at the top of
the file are those of a program that predicts. This file uses only parts of EdgeBERT that need just the standard
library.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.append(str(HERE.parents[2]))

from edgebert.measure.loop import quiet, timed  # noqa: E402
from edgebert.measure.memory import peak_rss_bytes  # noqa: E402
from edgebert.measure.others import processor_time, spent  # noqa: E402


def main() -> int:
    """Run the job from standard input. Output that libraries print goes to standard error."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    json.dump(globals()[job["action"]](job), answer)
    return 0


def prepare(job: dict) -> dict:
    """Convert and quantize, if the contender has this step."""
    work = getattr(import_module(job["contender"]), "prepare", None)
    if work is not None:
        work(job)
    return {}


def answer(job: dict) -> dict:
    """Compute the scores or the embedding of every text. *Shape*: (texts, labels or width)."""
    call = import_module(job["contender"]).load(job)
    return {"answers": [[round(float(value), 7) for value in call(text)] for text in job["texts"]]}


def measure(job: dict) -> dict:
    """Measure start times, peak memory, and the nanoseconds of every prediction for each kind of text."""
    before = processor_time()
    marks = {"start_ns": time.monotonic_ns()}
    contender = import_module(job["contender"])
    marks["import_ns"] = time.monotonic_ns()
    call = contender.load(job)
    marks["load_ns"] = time.monotonic_ns()
    call(job["loops"][0]["texts"][0])
    marks["first_ns"] = time.monotonic_ns()
    latencies_ns, peak = {}, 0
    for loop in job["loops"]:
        latencies_ns[loop["lengths"]] = _loop(call, loop)
        peak = peak or peak_rss_bytes()
    processor = spent(before, processor_time())
    return {**marks, "loops": latencies_ns, "end_rss": peak, "processor": processor}


def _loop(call, loop: dict) -> list[int]:
    """Measure latencies for the texts of one kind, after a warm-up that begins with the last texts."""
    texts = loop["texts"]
    for at in range(loop["warmup"]):
        call(texts[-1 - at % len(texts)])
    quiet()
    return timed(lambda at: call(texts[at % len(texts)]), loop["samples"])


if __name__ == "__main__":
    sys.exit(main())
