"""Measure how often the 95% intervals of a bench contain the true value, with simulated runs of 3 to 10 rounds.

    .venv/bin/python -m bench.interval_coverage [--runs 10000] [--bootstrap 500]

Each round of a run draws one process of the baseline and one of the candidate. Their medians differ from the true
medians as a noise model defines; the true ratio is always the same. The script prints two tables:

- the share of runs whose interval contains the true ratio, for `edgebert.measure.statistics.median_ratio` and (in
  --bootstrap runs) for the bootstrap over rounds and predictions of earlier recorded results;
- the share of runs whose interval of the candidate's own median contains the mean over a very large number of
  processes.

docs/explanation/intervals.md has these tables.
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
    """Make a noise model in which processes differ independently of each other."""
    return lambda random, rounds: (draw(random, rounds), draw(random, rounds))


def drifting(random: np.random.Generator, rounds: int) -> tuple[Array, Array]:
    """Draw 5% between processes, on a machine whose speed drifts by 30% over the rounds for both variants."""
    pace = np.linspace(0, 0.3, rounds) + 0.1 * random.standard_normal(rounds)
    return pace + 0.05 * random.standard_normal(rounds), pace + 0.05 * random.standard_normal(rounds)


def one_side(random: np.random.Generator, rounds: int) -> tuple[Array, Array]:
    """Draw 15% between the candidate's processes, and 1% between those of the baseline."""
    return 0.01 * random.standard_normal(rounds), 0.15 * random.standard_normal(rounds)


def slow_process(random: np.random.Generator, rounds: int) -> Array:
    """Draw 2% between processes; one process in ten takes 1.5 times as long."""
    return 0.02 * random.standard_normal(rounds) + np.log(1.5) * (random.random(rounds) < 0.1)


# Each model draws the logarithms of the factors by which processes differ from the true time.
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
    """Return the share of runs whose interval contains the true ratio.

    Args:
        model: A key of `MODELS`.
        rounds: Number of rounds in each run.
        runs: Number of simulated runs.
        seed: Seed of the random numbers.
        bootstrap: Use the interval of the bootstrap instead of `median_ratio`.
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
    """Return the share of runs whose interval of a median contains the geometric mean over many processes.

    Args:
        model: A key of `MODELS`.
        rounds: Number of rounds in each run.
        runs: Number of simulated runs.
        seed: Seed of the random numbers.
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
    """Bootstrap interval of the ratio of pooled medians. Rounds are resampled, and predictions within each round."""
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
    """Format the ratios as Markdown: one row per model and method, one column per number of rounds."""
    lines = ["| model | interval | " + " | ".join(map(str, ROUNDS)) + " |", "|---" * (len(ROUNDS) + 2) + "|"]
    for model in MODELS:
        for method, count in (("t of logarithms", runs), ("bootstrap", bootstrap_runs)):
            shares = [covered(model, rounds, count, rounds, method == "bootstrap") for rounds in ROUNDS if count]
            lines += ["| " + " | ".join([model, method, *(f"{share:.1%}" for share in shares)]) + " |"] if count else []
    return "\n".join(lines)


def table_of_times(runs: int) -> str:
    """Format the medians as Markdown: one row per model, one column per number of rounds."""
    lines = ["| model | " + " | ".join(map(str, ROUNDS)) + " |", "|---" * (len(ROUNDS) + 1) + "|"]
    for model in MODELS:
        shares = [covered_time(model, rounds, runs, rounds) for rounds in ROUNDS]
        lines.append("| " + " | ".join([model, *(f"{share:.1%}" for share in shares)]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000, help="simulated runs of every model (default: 10000)")
    parser.add_argument("--bootstrap", type=int, default=500, help="and of the bootstrap; 0 for none (default: 500)")
    given = parser.parse_args()
    print(table(given.runs, given.bootstrap), table_of_times(given.runs), sep="\n\n")


if __name__ == "__main__":
    main()
