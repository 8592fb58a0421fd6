"""Bench: every bundle beside its full-precision baseline, in fresh processes, interleaved."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.bundle import bundle_hash
from edgebert.errors import InputError
from edgebert.examples import Example, fingerprint
from edgebert.measure.data import read_texts
from edgebert.measure.environment import environment
from edgebert.measure.process import run_child
from edgebert.measure.results import Case, Result, write_json
from edgebert.measure.statistics import Samples, median_ratio, percentile_ms
from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant
from edgebert.measure.waterfall import waterfall
from edgebert.runtime.tasks import device_half

Child = Callable[[dict[str, Any]], dict[str, Any]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Workload:
    """The inputs that every variant answers, where they came from, and what is right where that is known."""

    examples: list[Example]
    path: Path
    sha256: str
    inputs: list[Any]

    @property
    def source(self) -> str:
        """Name of the file."""
        return self.path.name


def read_workload(path: Path, manifest: dict[str, Any]) -> Workload:
    """Read the inputs of a data file, and what is right about them where it has the label column of the bundle's data.

    Raises:
        DataError: The file cannot be used, or holds a label that the bundle does not know.
    """
    examples = read_texts(path, manifest)
    task = device_half(manifest["task"]).TASK(manifest, None)
    if examples[0].label is not None:
        for example in examples:
            task.expected(example)
    return Workload(examples, path, fingerprint(path), [_plain(task.given(example)) for example in examples])


def bench(
    variants: Sequence[Variant],
    workload: Workload | None,
    suite: Suite,
    out: Path,
    command: str,
    progress: Progress = lambda line: None,
    child: Child = run_child,
    target: str = "local",
    read_environment: Callable[[], dict[str, Any]] = environment,
) -> Result:
    """Measure every variant and write `result.json` after every case.

    Args:
        variants: The baseline first.
        workload: Texts of natural lengths; None for fixed lengths only.
        suite: What to measure.
        out: Folder for the result and the raw samples.
        command: The command line, to be kept with the result.
        progress: Called with a line before every process.
        child: Runs one job; targets elsewhere and tests give their own.
        target: Where the child runs, as the result names it.
        read_environment: Reads the environment of that machine.

    Raises:
        InputError: Neither texts nor fixed lengths are given.
        RunError: A measured process failed; what was measured before it stays written.
    """
    if workload is None and not suite.lengths:
        raise InputError("nothing to run: give --data FILE with texts, or a suite with fixed lengths")
    data = (
        None
        if workload is None
        else {"file": workload.source, "sha256": workload.sha256, "rows": len(workload.examples)}
    )
    result = Result(command, asdict(suite), data, read_environment())
    run = _Bench(list(variants), workload, suite, out, result, progress, child, target)
    run.all()
    return result


class _Bench:
    """One bench on its way through its cases."""

    def __init__(
        self,
        variants: list[Variant],
        workload: Workload | None,
        suite: Suite,
        out: Path,
        result: Result,
        progress: Progress,
        child: Child,
        target: str,
    ) -> None:
        self.variants, self.workload, self.suite = variants, workload, suite
        self.out, self.result, self.progress, self.child = out, result, progress, child
        self.target = target
        self.random = random.Random(suite.seed)
        self.count = 0

    def all(self) -> None:
        lengths = self._lengths()
        offline = "offline" in self.suite.scenarios and self.workload is not None
        single = "single_stream" in self.suite.scenarios
        per_length = (self.suite.rounds + 1) * single
        self.total = len(self.variants) * (
            len(lengths) * per_length + self.suite.rounds * offline + (self._labelled() is not None)
        )
        quality = self._quality()
        for length in lengths if single else []:
            self._single_stream(length, quality)
        if offline:
            self._offline()
        self.result.waterfall = waterfall(self.result.cases)
        self.result.write(self.out)

    def _lengths(self) -> list[int]:
        """0 for the natural lengths of the texts, then the fixed ones."""
        longest = min(variant.manifest["max_length"] for variant in self.variants)
        too_long = [length for length in self.suite.lengths if length > longest]
        if too_long:
            raise InputError(f"suite lengths {too_long}: the bundles take at most {longest} tokens; leave them out")
        return [*([0] if self.workload else []), *self.suite.lengths]

    def _labelled(self) -> Workload | None:
        return self.workload if self.workload and self.workload.examples[0].label is not None else None

    def _quality(self) -> dict[str, dict[str, Any]]:
        workload, qualities = self._labelled(), {}
        for variant in self.variants if workload else []:
            qualities[variant.name] = self._child(variant, "quality", 0)["quality"]
        return qualities

    def _single_stream(self, length: int, quality: dict[str, dict[str, Any]]) -> None:
        """Latency in interleaved rounds and memory, for natural lengths (0) or one fixed length."""
        memory = {variant.name: self._child(variant, "memory", length) for variant in self.variants}

        def case_of(variant: Variant, answers: list[dict[str, Any]]) -> Case:
            case = self._case(variant, "single_stream", 1, length)
            _fill_latency(case, answers)
            _fill_start(case, answers)
            case.peak_rss_mb = round(memory[variant.name]["end_rss"] / 1e6, 1)
            case.device_memory_mb = memory[variant.name].get("device_memory_mb")
            case.quality = quality.get(variant.name)
            case.raw = self._keep_raw(case, answers, memory[variant.name])
            return case

        rounds = self._rounds("single_stream", length, case_of)
        samples = {name: [_samples(answer) for answer in answers] for name, answers in rounds.items()}
        self._ratios("p50", length, samples)

    def _offline(self) -> None:
        def case_of(variant: Variant, answers: list[dict[str, Any]]) -> Case:
            case = self._case(variant, "offline", self.suite.batch_size, 0)
            case.samples = sum(answer["texts"] for answer in answers)
            rates = [answer["texts"] / answer["total_ns"] * 1e9 for answer in answers]
            case.throughput = round(float(np.median(rates)), 2)
            return case

        rounds = self._rounds("offline", 0, case_of)
        times = {
            name: [np.array([float(answer["total_ns"])]) for answer in answers] for name, answers in rounds.items()
        }
        self._ratios("offline time", 0, times)

    def _rounds(
        self, scenario: str, length: int, case_of: Callable[[Variant, list[dict[str, Any]]], Case]
    ) -> dict[str, list[dict[str, Any]]]:
        """Every variant once a round, each in a fresh process, in an order drawn anew every round.

        The cases are brought up to date and written after every round, so that an interrupted run keeps its rounds.
        """
        answers: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in self.variants}
        before = list(self.result.cases)
        for _ in range(self.suite.rounds):
            for variant in self.random.sample(self.variants, len(self.variants)):
                answers[variant.name].append(self._child(variant, scenario, length))
            self.result.cases = before + [case_of(variant, answers[variant.name]) for variant in self.variants]
            self.result.write(self.out)
        return answers

    def _child(self, variant: Variant, scenario: str, length: int) -> dict[str, Any]:
        self.count += 1
        shown = f"{length} tokens" if length else "natural lengths"
        self.progress(f"[{self.count}/{self.total}] {variant.name}: {scenario}, {shown}")
        job = {
            "bundle": str(variant.folder),
            "runtime": variant.runtime,
            "threads": self.suite.threads,
            "scenario": scenario,
            "length": length,
            "warmup": self.suite.warmup,
            "samples": self.suite.samples,
            "batch_size": self.suite.batch_size,
        }
        if length:
            job["ids"] = _random_ids(length, _vocabulary_size(self.variants), self.suite.seed)
        else:
            job["texts"] = self._sampled_texts(scenario)
        if scenario == "quality":
            assert self.workload is not None
            job |= {"data": str(self.workload.path.resolve()), "metric": variant.manifest["data"]["metric"]}
        return self.child(job)

    def _sampled_texts(self, scenario: str) -> list[Any]:
        """The same seeded sample of texts for every variant and round."""
        assert self.workload is not None
        texts = list(self.workload.inputs)
        random.Random(self.suite.seed).shuffle(texts)
        return texts[
            : max(self.suite.samples, 2 * self.suite.batch_size) if scenario == "offline" else self.suite.samples
        ]

    def _case(self, variant: Variant, scenario: str, batch: int, length: int) -> Case:
        return Case(
            bundle=variant.manifest["name"],
            bundle_hash=bundle_hash(variant.folder),
            variant=variant.name,
            target=self.target,
            runtime=variant.runtime,
            scenario=scenario,
            batch=batch,
            lengths=str(length) if length else "natural",
            threads=self.suite.threads,
            size_mb=round(variant.size_mb, 3),
        )

    def _keep_raw(self, case: Case, rounds: list[dict[str, Any]], memory: dict[str, Any]) -> str:
        name = f"raw/{case.variant}-{case.scenario}-{case.lengths}.json"
        write_json(self.out / name, {"rounds": rounds, "memory": memory})
        return name

    def _ratios(self, what: str, length: int, samples: dict[str, list[Samples]]) -> None:
        base = self.variants[0].name
        shown = f"{length} tokens" if length else "natural lengths"
        for variant in self.variants[1:]:
            title = f"{what}, {shown}: {base} / {variant.name}"
            self.result.ratios.append(median_ratio(title, samples[base], samples[variant.name], self.suite.seed))
        self.result.write(self.out)


def _plain(given: Any) -> Any:  # noqa: ANN401
    """An input as JSON carries it to the measured process: words go as their text, as an application would give it."""
    return given if isinstance(given, str | tuple) else str(given)


def _samples(answer: dict[str, Any]) -> Samples:
    return np.array(answer["latencies_ns"], dtype=np.float64)


def _total(answer: dict[str, Any]) -> Samples:
    return np.array([answer["total_ns"]], dtype=np.float64)


def _fill_latency(case: Case, answers: list[dict[str, Any]]) -> None:
    rounds = [_samples(answer) for answer in answers]
    case.samples = sum(map(len, rounds))
    case.p50_ms, case.p90_ms, case.p99_ms = (round(percentile_ms(rounds, at), 4) for at in (50, 90, 99))
    mean_ns = float(np.concatenate(rounds).mean())
    case.mean_ms, case.throughput = round(mean_ns / 1e6, 4), round(1e9 / mean_ns, 2)


def _fill_start(case: Case, answers: list[dict[str, Any]]) -> None:
    def median_ms(begin: str, end: str) -> float:
        return round(float(np.median([answer[end] - answer[begin] for answer in answers])) / 1e6, 2)

    case.import_ms, case.load_ms = median_ms("start_ns", "import_ns"), median_ms("import_ns", "load_ns")
    case.first_ms = median_ms("load_ns", "first_ns")
    case.cold_start_ms = round(float(np.median([answer["cold_start_ns"] for answer in answers])) / 1e6, 2)


def _vocabulary_size(variants: Sequence[Variant]) -> int:
    """Word pieces that every variant knows."""
    documents = (json.loads((variant.folder / "tokenizer.json").read_text(encoding="utf-8")) for variant in variants)
    return min(len(document["model"]["vocab"]) for document in documents)


def _random_ids(length: int, vocabulary: int, seed: int) -> list[list[int]]:
    """Sixteen texts of random word pieces of exactly this length."""
    drawn = np.random.default_rng(seed).integers(0, vocabulary, size=(16, length))
    return [[int(value) for value in row] for row in drawn]


def report_progress(line: str) -> None:
    """Show which process runs now, on stderr."""
    sys.stderr.write(line + ("\n" if not sys.stderr.isatty() else " " * 20 + "\r"))
    sys.stderr.flush()
