"""Bench: every bundle beside its full-precision baseline, in fresh processes, interleaved."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.bundle import bundle_hash, check_files, read_manifest
from edgebert.errors import BundleError, InputError
from edgebert.examples import Columns, Example, fingerprint, read_examples
from edgebert.measure.environment import environment
from edgebert.measure.process import run_child
from edgebert.measure.quality import label_numbers, measure_quality
from edgebert.measure.results import Case, Result, write_json
from edgebert.measure.statistics import Samples, median_ratio, percentile_ms
from edgebert.measure.suite import Suite
from edgebert.measure.waterfall import waterfall

Child = Callable[[dict[str, Any]], dict[str, Any]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Variant:
    """A bundle to measure on one runtime; the first one is the baseline."""

    name: str
    folder: Path
    manifest: dict[str, Any]
    runtime: str

    @property
    def size_mb(self) -> float:
        """Size of the graph files that the runtime opens."""
        graph = self.manifest["runtime"]["graphs"][self.runtime]
        stem = graph.removesuffix(".xml")
        paths = {graph} if stem == graph else {graph, f"{stem}.bin"}
        return float(sum(entry["bytes"] for entry in self.manifest["files"] if entry["path"] in paths)) / 1e6


@dataclass(frozen=True)
class Workload:
    """The texts that every variant answers, where they came from, and their labels where there are any."""

    examples: list[Example]
    source: str
    sha256: str

    def texts(self) -> list[Any]:
        """Texts, or pairs of texts, fit for JSON."""
        return [row.text if row.text_pair is None else [row.text, row.text_pair] for row in self.examples]


def variants_of(bundles: Sequence[Path], baseline: Path, stages: bool, suite: Suite) -> list[Variant]:
    """The baseline, then (where asked) the stage bundles, then the bundles, on every runtime of the suite.

    Raises:
        BundleError: A folder is not a whole bundle.
    """
    folders = [("fp32", baseline)]
    for folder in bundles:
        if stages:
            folders += [(path.name, path) for path in stage_folders(folder) if path.resolve() != baseline.resolve()]
        folders.append(("bundle" if len(bundles) == 1 else folder.name, folder))
    variants = []
    for name, folder in folders:
        manifest = read_manifest(folder)
        check_files(folder, manifest)
        graphs = manifest["runtime"]["graphs"]
        wanted = [manifest["runtime"]["default"] if runtime == "default" else runtime for runtime in suite.runtimes]
        for runtime in dict.fromkeys(["onnxruntime"] if name == "fp32" else wanted):
            if runtime in graphs:
                label = name if len(set(wanted)) == 1 or name == "fp32" else f"{name}@{runtime}"
                variants.append(Variant(label, folder, manifest, runtime))
    return variants


def stage_folders(folder: Path) -> list[Path]:
    """Bundles of the stages before a bundle, in order.

    Raises:
        BundleError: There are none.
    """
    root = folder.with_name(folder.name + ".stages")
    found = sorted(path for path in root.glob("[0-9]-*") if path.is_dir())
    if not found:
        raise BundleError(f"{root}: no stage bundles; export with export.stages = true")
    return found


def find_baseline(folder: Path, given: str | None) -> Path:
    """The full-precision bundle to compare with.

    Raises:
        BundleError: None is given, inside the bundle or beside it.
    """
    candidates = (
        [Path(given)] if given else [folder / "baseline", folder.with_name(folder.name + ".stages") / "0-baseline"]
    )
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise BundleError(
        f"{folder}: no full-precision baseline at {' or '.join(map(str, candidates))}; "
        "export with export.stages or export.baseline = true, or give --baseline"
    )


def read_workload(path: Path, manifest: dict[str, Any]) -> Workload:
    """Read the texts of a data file, with labels where its columns are those of the bundle's data.

    Raises:
        DataError: The file cannot be used.
    """
    columns = Columns(**manifest["data"]["columns"])
    if path.name.removesuffix(".gz").endswith(".txt"):
        columns = replace(columns, label="")
    return Workload(read_examples(path, columns), path.name, fingerprint(path))


def bench(
    variants: Sequence[Variant],
    workload: Workload | None,
    suite: Suite,
    out: Path,
    command: str,
    progress: Progress = lambda line: None,
    child: Child = run_child,
) -> Result:
    """Measure every variant and write `result.json` after every case.

    Args:
        variants: The baseline first.
        workload: Texts of natural lengths; None for fixed lengths only.
        suite: What to measure.
        out: Folder for the result and the raw samples.
        command: The command line, to be kept with the result.
        progress: Called with a line before every process.
        child: Runs one job; another one is given in tests.

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
    result = Result(command, asdict(suite), data, environment())
    run = _Bench(list(variants), workload, suite, out, result, progress, child)
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
    ) -> None:
        self.variants, self.workload, self.suite = variants, workload, suite
        self.out, self.result, self.progress, self.child = out, result, progress, child
        self.random = random.Random(suite.seed)
        self.count = 0

    def all(self) -> None:
        lengths: list[int] = [*([0] if self.workload else []), *self.suite.lengths]
        offline = "offline" in self.suite.scenarios and self.workload is not None
        self.total = len(self.variants) * (
            len(lengths) * self.suite.rounds * ("single_stream" in self.suite.scenarios)
            + self.suite.rounds * offline
            + len(lengths)
            + (self._labelled() is not None)
        )
        quality = self._quality()
        for length in lengths:
            self._scenario(length, quality)
        if offline:
            self._offline()
        self.result.waterfall = waterfall(self.result.cases)
        self.result.write(self.out)

    def _labelled(self) -> Workload | None:
        return self.workload if self.workload and self.workload.examples[0].label is not None else None

    def _quality(self) -> dict[str, dict[str, Any]]:
        workload, qualities = self._labelled(), {}
        if workload is None:
            return {}
        for variant in self.variants:
            expected = label_numbers(workload.examples, variant.manifest, workload.source)
            answer = self._child(variant, "quality", 0, texts=workload.texts())
            metric = variant.manifest["data"]["metric"]
            qualities[variant.name] = measure_quality(metric, expected, np.array(answer["predicted"])).as_dict()
        return qualities

    def _scenario(self, length: int, quality: dict[str, dict[str, Any]]) -> None:
        """Latency in interleaved rounds, then memory, for natural lengths (0) or one fixed length."""
        memory = {variant.name: self._child(variant, "memory", length) for variant in self.variants}
        if "single_stream" not in self.suite.scenarios:
            return
        rounds = self._rounds("single_stream", length)
        for variant in self.variants:
            case = self._case(variant, "single_stream", 1, length)
            _fill_latency(case, rounds[variant.name])
            _fill_start(case, rounds[variant.name])
            case.peak_rss_mb = round(memory[variant.name]["end_rss"] / 1e6, 1)
            case.quality = quality.get(variant.name)
            case.raw = self._keep_raw(case, rounds[variant.name], memory[variant.name])
            self.result.cases.append(case)
            self.result.write(self.out)
        self._ratios(
            "p50", length, {name: [_samples(answer) for answer in answers] for name, answers in rounds.items()}
        )

    def _offline(self) -> None:
        rounds = self._rounds("offline", 0)
        for variant in self.variants:
            case = self._case(variant, "offline", self.suite.batch_size, 0)
            answers = rounds[variant.name]
            case.samples = sum(answer["texts"] for answer in answers)
            case.throughput = round(
                float(np.median([answer["texts"] / answer["total_ns"] * 1e9 for answer in answers])), 2
            )
            self.result.cases.append(case)
            self.result.write(self.out)
        times = {
            name: [np.array([float(answer["total_ns"])]) for answer in answers] for name, answers in rounds.items()
        }
        self._ratios("offline time", 0, times)

    def _rounds(self, scenario: str, length: int) -> dict[str, list[dict[str, Any]]]:
        """Every variant once a round, each in a fresh process, in an order drawn anew every round."""
        answers: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in self.variants}
        for _ in range(self.suite.rounds):
            for variant in self.random.sample(self.variants, len(self.variants)):
                answers[variant.name].append(self._child(variant, scenario, length))
        return answers

    def _child(self, variant: Variant, scenario: str, length: int, texts: list[Any] | None = None) -> dict[str, Any]:
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
            job["ids"] = _random_ids(length, self.suite.seed)
        else:
            job["texts"] = texts if texts is not None else self._sampled_texts(scenario)
        return self.child(job)

    def _sampled_texts(self, scenario: str) -> list[Any]:
        """The same seeded sample of texts for every variant and round."""
        assert self.workload is not None
        texts = self.workload.texts()
        random.Random(self.suite.seed).shuffle(texts)
        return texts[
            : max(self.suite.samples, 2 * self.suite.batch_size) if scenario == "offline" else self.suite.samples
        ]

    def _case(self, variant: Variant, scenario: str, batch: int, length: int) -> Case:
        return Case(
            bundle=variant.manifest["name"],
            bundle_hash=bundle_hash(variant.folder),
            variant=variant.name,
            target="local",
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


def _samples(answer: dict[str, Any]) -> Samples:
    return np.array(answer["latencies_ns"], dtype=np.float64)


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


def _random_ids(length: int, seed: int) -> list[list[int]]:
    """Sixteen texts of random word pieces of exactly this length."""
    drawn = np.random.default_rng(seed).integers(1000, 5000, size=(16, length))
    return [[int(value) for value in row] for row in drawn]


def report_progress(line: str) -> None:
    """Show which process runs now, on stderr."""
    sys.stderr.write(line + ("\n" if not sys.stderr.isatty() else " " * 20 + "\r"))
    sys.stderr.flush()
