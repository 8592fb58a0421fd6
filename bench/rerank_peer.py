"""Time one ranking by a bundle and by sentence-transformers' CrossEncoder (PyTorch, FP32) with the same weights.

Both rank the same documents of --tokens tokens for one query, in fresh processes in random order. Prints the median of
each, the ratio of medians over the rounds with its 95% interval, and the largest difference between the scores.

.venv/bin/python -m bench.rerank_peer CHECKPOINT BUNDLE [--documents 100] [--tokens 64] [--rounds 5] [--samples 5]
    [--threads 1] [--runtime core]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.measure.statistics import median_ratio

QUERY = "which of them describes how the red bicycle was repaired"
WORDS = ("the", "baker", "found", "a", "red", "bicycle", "in", "north", "and", "sold", "it", "after", "long", "winter")
PEER, OURS = "sentence-transformers", "edgebert"


def documents_of(bundle: Path, count: int, tokens: int) -> list[str]:
    """Make documents of `tokens` tokens each, including special tokens, with the bundle's tokenizer."""
    from tokenizers import Tokenizer

    tokenizer, drawn, documents = Tokenizer.from_file(str(bundle / "tokenizer.json")), random.Random(7), []
    tokenizer.no_truncation()
    tokenizer.no_padding()
    for _ in range(count):
        words: list[str] = []
        while len(tokenizer.encode(" ".join([*words, "the"])).ids) <= tokens:
            words.append(drawn.choice(WORDS))
        documents.append(" ".join(words))
    return documents


def peer(checkpoint: str, threads: int) -> Callable[[list[str]], list[tuple[int, float]]]:
    """Return a function that ranks with sentence-transformers."""
    import torch
    from sentence_transformers import CrossEncoder

    torch.set_num_threads(threads)
    model = CrossEncoder(checkpoint, device="cpu")
    return lambda texts: [(found["corpus_id"], float(found["score"])) for found in model.rank(QUERY, texts)]


def ours(bundle: str, threads: int, runtime: str | None) -> Callable[[list[str]], list[tuple[int, float]]]:
    """Return a function that ranks with the bundle."""
    import edgebert

    model: Any = edgebert.load(bundle, threads=threads, runtime=runtime, verify=False)
    return lambda texts: [(found.index, found.score) for found in model.rank(QUERY, texts)]


def measure(rank: Callable[[list[str]], list[tuple[int, float]]], texts: list[str], samples: int) -> dict[str, Any]:
    """Measure rankings after one warm-up: nanoseconds of each, and the scores in the order of the documents."""
    scores = dict(rank(texts))
    times = []
    for _ in range(samples):
        start = time.perf_counter_ns()
        rank(texts)
        times.append(time.perf_counter_ns() - start)
    return {"ns": times, "scores": [scores[at] for at in range(len(texts))]}


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("bundle")
    for name, usual in (("documents", 100), ("tokens", 64), ("rounds", 5), ("samples", 5), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--runtime")
    parser.add_argument("--one", choices=(PEER, OURS), help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure, and print the results."""
    given = arguments()
    if given.one:
        texts = documents_of(Path(given.bundle), given.documents, given.tokens)
        made = (
            peer(given.checkpoint, given.threads)
            if given.one == PEER
            else ours(given.bundle, given.threads, given.runtime)
        )
        print(json.dumps(measure(made, texts, given.samples)))
        return
    environment = {**os.environ, "OMP_NUM_THREADS": str(given.threads), "TOKENIZERS_PARALLELISM": "false"}
    found: dict[str, list[dict[str, Any]]] = {PEER: [], OURS: []}
    for _ in range(given.rounds):
        for name in random.sample(list(found), len(found)):
            command = [sys.executable, "-m", "bench.rerank_peer", *sys.argv[1:], "--one", name]
            answer = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout
            found[name].append(json.loads(answer.splitlines()[-1]))
    for name, several in found.items():
        median = np.median([ns for one in several for ns in one["ns"]]) / 1e6
        print(f"{name:>22}: {median:.1f} ms for {given.documents} documents")
    times = {name: [np.array(one["ns"], dtype=np.float64) for one in several] for name, several in found.items()}
    ratio = median_ratio("ranking", times[PEER], times[OURS])
    bounds = "no interval" if ratio.ci_low is None else f"95% {ratio.ci_low:.2f} to {ratio.ci_high:.2f}"
    print(f"{OURS} is {ratio.value:.2f} times as fast ({bounds}, {ratio.rounds} rounds)")
    apart = np.abs(np.subtract(found[PEER][0]["scores"], found[OURS][0]["scores"])).max()
    print(f"scores differ by at most {apart:.1e}")


if __name__ == "__main__":
    main()
