"""Measure the throughput of one model that several threads call with one text per call.

Every measurement is a fresh process, in random order. The ratio in a row is the row's rate divided by the rate of the
first number of callers in the same round, with its 95% interval.

python bench/callers.py BUNDLE TEXTS.txt [--callers 1 2 4 8 16] [--rounds 5] [--threads 1] [--count 2000]
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from statistics import median

from edgebert.measure.statistics import over_rounds

WARMUP = 50


def measure(bundle: str, texts: list[str], threads: int, callers: int, count: int) -> dict[str, float]:
    """Measure one process: texts per second, and milliseconds of processor time per text."""
    import edgebert

    model = edgebert.load(bundle, threads=threads, verify=False)
    for at in range(WARMUP):
        model(texts[at % len(texts)])

    def answer(first: int) -> None:
        for at in range(first, count, callers):
            model(texts[at % len(texts)])

    started = [threading.Thread(target=answer, args=(first,)) for first in range(callers)]
    wall, processor = time.perf_counter(), time.process_time()
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {"rate": count / wall, "processor_ms": processor / count * 1e3}


def main() -> None:
    """Measure, and print the medians for every number of callers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("texts", type=Path)
    parser.add_argument("--callers", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    texts = [line for line in given.texts.read_text(encoding="utf-8").splitlines() if line.strip()]
    if given.one:
        print(json.dumps(measure(given.bundle, texts, given.threads, given.one, given.count)))
        return
    found: dict[int, list[dict[str, float]]] = {callers: [] for callers in given.callers}
    for _ in range(given.rounds):
        for callers in random.sample(given.callers, len(given.callers)):
            command = [sys.executable, *sys.argv, "--one", str(callers)]
            found[callers].append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
    first = found[given.callers[0]]
    for callers, several in found.items():
        rate, processor_ms = (median(one[key] for one in several) for key in ("rate", "processor_ms"))
        print(f"{callers:3} callers: {rate:8.1f} texts/s, {processor_ms:.3f} ms of processor time a text", end="")
        print(f", {ratio(several, first)}" if several is not first else "")


def ratio(several: list[dict[str, float]], first: list[dict[str, float]]) -> str:
    """Format the ratio of a rate to the first one, over the rounds, with its interval."""
    value, interval = over_rounds([one["rate"] / other["rate"] for one, other in zip(several, first, strict=True)])
    return f"{value:.2f} times ({interval[0]:.2f} to {interval[1]:.2f})" if interval else f"{value:.2f} times"


if __name__ == "__main__":
    main()
