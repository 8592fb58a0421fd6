"""How often do the 95% intervals of a bench hold the true value? Simulated runs of 3 to 10 rounds.

    .venv/bin/python -m bench.interval_coverage [--runs 10000] [--bootstrap 500]

Every run draws a process of the baseline and one of the candidate for each round, whose medians differ from the true
ones by what a model says, with the same true ratio for all. Prints a table of the share of runs whose interval holds
that ratio: by `edgebert.measure.statistics.median_ratio`, and, in so many runs, by the bootstrap over rounds and
predictions that results recorded before it have; and a table of the share whose interval of the candidate's own median
holds the mean over ever more processes. Tables of docs/explanation/intervals.md come from here.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgebert.measure.statistics import median_ratio, percentile_ms

Array = NDArray[np.float64]
Model = Callable[[np.random.Generator, int], tuple[Array, Array]]
TRUE_RATIO, SAMPLES, WITHIN = 3.0, 100, 0.2
ROUNDS = (3, 4, 5, 6, 7, 8, 9, 10)
RESAMPLES = 400
PROCESSES = 200_000


def independent(draw: Callable[[np.random.Generator, int], Array]) -> Model:
    """Processes that differ from each other, and nothing else."""
    return lambda random, rounds: (draw(random, rounds), draw(random, rounds))


def drifting(random: np.random.Generator, rounds: int) -> tuple[Array, Array]:
    """5% between processes, and a machine whose pace changes by 30% over the rounds, for both alike."""
    pace = np.linspace(0, 0.3, rounds) + 0.1 * random.standard_normal(rounds)
    return pace + 0.05 * random.standard_normal(rounds), pace + 0.05 * random.standard_normal(rounds)


def one_side(random: np.random.Generator, rounds: int) -> tuple[Array, Array]:
    """A candidate whose processes differ by 15%, beside a baseline's by 1%."""
    return 0.01 * random.standard_normal(rounds), 0.15 * random.standard_normal(rounds)


def slow_process(random: np.random.Generator, rounds: int) -> Array:
    """2% between processes, of which every tenth takes half as long again."""
    return 0.02 * random.standard_normal(rounds) + np.log(1.5) * (random.random(rounds) < 0.1)


# Logarithms of what each process's pace differs by.
MODELS: dict[str, Model] = {
    "processes alike": independent(lambda random, rounds: np.zeros(rounds)),
    "5% between processes": independent(lambda random, rounds: 0.05 * random.standard_normal(rounds)),
    "20% between processes": independent(lambda random, rounds: 0.2 * random.standard_normal(rounds)),
    "5%, and a drift that a round shares": drifting,
    "15% of the candidate alone": one_side,
    "heavy tails (t, 3 degrees of freedom)": independent(lambda random, rounds: 0.04 * random.standard_t(3, rounds)),
    "every tenth process slow": independent(slow_process),
}


def covered(model: str, rounds: int, runs: int, seed: int = 0, bootstrap: bool = False) -> float:
    """Share of runs whose interval holds the true ratio.

    Args:
        model: A key of `MODELS`.
        rounds: Of every run.
        runs: How many to simulate.
        seed: Of everything that is drawn.
        bootstrap: Take the bootstrap's interval in place of ours.
    """
    random, held = np.random.default_rng(seed), 0
    for _ in range(runs):
        paces = MODELS[model](random, rounds)
        before, after = (
            [scale * np.exp(pace + WITHIN * random.standard_normal(SAMPLES)) for pace in each]
            for scale, each in zip((TRUE_RATIO, 1.0), paces, strict=True)
        )
        low, high = _bootstrap(random, before, after) if bootstrap else _ours(before, after)
        held += low <= TRUE_RATIO <= high
    return held / runs


def covered_time(model: str, rounds: int, runs: int, seed: int = 0) -> float:
    """Share of runs whose interval of a median holds the geometric mean over ever more processes.

    Args:
        model: A key of `MODELS`.
        rounds: Of every run.
        runs: How many to simulate.
        seed: Of everything that is drawn.
    """
    random, held = np.random.default_rng(seed), 0
    true_ms = math.exp(np.mean([MODELS[model](random, rounds)[1].mean() for _ in range(PROCESSES // rounds)]))
    for _ in range(runs):
        paces = MODELS[model](random, rounds)[1]
        latencies = [1e6 * np.exp(pace + WITHIN * random.standard_normal(SAMPLES)) for pace in paces]
        _, interval = percentile_ms(latencies, 50)
        assert interval is not None
        held += interval[0] <= true_ms <= interval[1]
    return held / runs


def _ours(before: list[Array], after: list[Array]) -> tuple[float, float]:
    ratio = median_ratio("p50", before, after)
    assert ratio.ci_low is not None
    assert ratio.ci_high is not None
    return ratio.ci_low, ratio.ci_high


def _bootstrap(random: np.random.Generator, before: list[Array], after: list[Array]) -> tuple[float, float]:
    """Percentiles of ratios of pooled medians, of resampled rounds and, in each, resampled predictions."""
    first, second = np.stack(before), np.stack(after)
    rounds, size = first.shape
    chosen = random.integers(0, rounds, (RESAMPLES, rounds, 1))
    medians = [
        np.median(each[chosen, random.integers(0, size, (RESAMPLES, rounds, size))].reshape(RESAMPLES, -1), axis=1)
        for each in (first, second)
    ]
    low, high = np.percentile(medians[0] / medians[1], [2.5, 97.5])
    return float(low), float(high)


def table(runs: int, bootstrap_runs: int) -> str:
    """Markdown: a row a model and method, a column a number of rounds."""
    lines = ["| model | interval | " + " | ".join(map(str, ROUNDS)) + " |", "|---" * (len(ROUNDS) + 2) + "|"]
    for model in MODELS:
        for method, count in (("t of logarithms", runs), ("bootstrap", bootstrap_runs)):
            shares = [covered(model, rounds, count, rounds, method == "bootstrap") for rounds in ROUNDS if count]
            lines += ["| " + " | ".join([model, method, *(f"{share:.1%}" for share in shares)]) + " |"] if count else []
    return "\n".join(lines)


def table_of_times(runs: int) -> str:
    """Markdown: a row a model, a column a number of rounds."""
    lines = ["| model | " + " | ".join(map(str, ROUNDS)) + " |", "|---" * (len(ROUNDS) + 1) + "|"]
    for model in MODELS:
        shares = [covered_time(model, rounds, runs, rounds) for rounds in ROUNDS]
        lines.append("| " + " | ".join([model, *(f"{share:.1%}" for share in shares)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="simulated runs of every model (default: 10000)")
    parser.add_argument("--bootstrap", type=int, default=500, help="and of the bootstrap; 0 for none (default: 500)")
    given = parser.parse_args()
    print(table(given.runs, given.bootstrap), table_of_times(given.runs), sep="\n\n")


if __name__ == "__main__":
    main()
