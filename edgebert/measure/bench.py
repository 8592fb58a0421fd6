"""Measure every bundle and its full-precision baseline, in fresh processes, interleaved."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cached_property
from importlib import import_module

import numpy as np

from edgebert.bundle import bundle_hash, check_no_link
from edgebert.errors import BundleError, InputError, RunError, TargetError
from edgebert.measure.experiment import Experiment, job_of
from edgebert.measure.job import Answer, Input, Job
from edgebert.measure.others import others_cores
from edgebert.measure.plan import Part, plan
from edgebert.measure.progress import Step, TimeLeft
from edgebert.measure.read import check_case, check_sizes
from edgebert.measure.received import damaged
from edgebert.measure.results import Case, Result, write_json
from edgebert.measure.scenarios import memory
from edgebert.measure.statistics import median_ratio
from edgebert.measure.targets.machine import Machine
from edgebert.measure.thermal import state_of
from edgebert.measure.variants import Variant
from edgebert.measure.verdict import saturating, verdict
from edgebert.measure.waterfall import waterfall
from edgebert.metrics.pairs import difference_of, pair_of
from edgebert.runtime.contract import open_encoder
from edgebert.runtime.quality import QualityRow, metric_of
from edgebert.runtimes import RUNTIMES

Answers = dict[str, list[Answer]]
Progress = Callable[[Step], None]
HERE = Machine()


def bench(experiment: Experiment, machine: Machine = HERE, progress: Progress = lambda step: None) -> Result:
    """Measure every variant and write `result.json` after every case.

    Args:
        experiment: What to measure.
        machine: The machine; its environment is read before the first case and after the last one.
        progress: Called before every process.

    Raises:
        InputError: Neither texts nor fixed lengths are given.
        RunError: A measured process failed, or the bench was interrupted; earlier results are kept.
        BundleError: A measured process could not use its bundle; earlier results are kept.
        TargetError: The target does not answer, or sends invalid values; earlier results are kept.
    """
    if experiment.workload is None and not experiment.suite.lengths:
        raise InputError("nothing to run: give --data FILE with texts, or a suite with fixed lengths")
    result = experiment.result(machine.environment())
    run = _Bench(experiment, result, progress, machine)
    try:
        run.all()
    except KeyboardInterrupt:
        raise RunError(f"interrupted; {run.stop()}") from None
    except BundleError as error:
        raise BundleError(f"{error}; {run.stop()}") from error
    except TargetError as error:
        raise TargetError(f"{error}; {run.stop()}") from error
    except RunError as error:
        raise RunError(f"{error}; {run.stop()}") from error
    return result


class _Bench:
    """State of one running bench."""

    def __init__(self, experiment: Experiment, result: Result, progress: Progress, machine: Machine) -> None:
        suite = experiment.suite
        self.variants, self.workload, self.suite = list(experiment.variants), experiment.workload, suite
        self.out, self.result, self.progress, self.machine = experiment.folder, result, progress, machine
        self.random = random.Random(suite.seed)
        self.parts = plan(suite, self.variants, self._lengths(), experiment.is_labelled)
        soak_s = suite.soak_minutes * 60
        self.planned = [
            (f"{part.scenario}, {part.shown}", soak_s if part.scenario == "soak" else 0.0)
            for part in self.parts
            for _ in range(part.rounds * len(part.variants))
        ]
        self.time_left = TimeLeft(self.planned)
        self.count = 0
        self.quality: dict[str, QualityRow | None] = {}
        self.peaks: Answers = {}
        self.null_ns: list[int] = []
        self.has_written = False

    def all(self) -> None:
        for part in self.parts:
            answers = self._rounds(part)
            if part.scenario == "quality":
                self._keep_quality(answers)
            elif not part.makes_cases:
                self.peaks = answers
            else:
                self._ratios(part, answers)
        self.result.waterfall = waterfall(self.result.cases)
        self.result.finished = True
        self._finish()

    def stop(self) -> str:
        """Write the result so far, and say where."""
        if not self.result.cases:
            return "no case was done"
        # Report the error that stopped the run, not the one that follows from it. The cases are already written.
        with suppress(RunError, TargetError):
            self._finish()
        return f"results so far are kept in {self.out / 'result.json'}" if self.has_written else "no result was written"

    def _write(self) -> None:
        self.result.write(self.out)
        self.has_written = True

    def _finish(self) -> None:
        after = state_of(self.machine.environment())
        self.result.environment_after = after
        on_cpu = [] if self.machine.name.startswith("cuda") else self.variants
        saturated = saturating(on_cpu, self.result.environment)
        self.result.verdict = verdict(self.result.cases, self.result.environment, after, saturated)
        if self.null_ns:
            p50_us = round(float(np.median(self.null_ns)) / 1e3, 3)
            self.result.null_model = {"p50_us": p50_us, "samples": len(self.null_ns)}
        self._write()

    @cached_property
    def _vocabulary_size(self) -> int:
        """Number of tokens that every variant's vocabulary has."""
        return min(open_encoder(variant.folder, variant.manifest).vocabulary_size for variant in self.variants)

    def _lengths(self) -> list[int]:
        """Lengths to measure: 0 for the texts' natural lengths, then the fixed ones."""
        longest = min(variant.manifest.max_length for variant in self.variants)
        too_long = [length for length in self.suite.lengths if length > longest]
        if too_long:
            raise InputError(f"suite lengths {too_long}: the bundles take at most {longest} tokens; leave them out")
        return [*([0] if self.workload else []), *self.suite.lengths]

    def _rounds(self, part: Part) -> Answers:
        """Run every variant once per round, each in a fresh process, in a new random order every round.

        Cases are updated and written after every round, so an interrupted run keeps its rounds.
        """
        answers: Answers = {variant.name: [] for variant in part.variants}
        before = list(self.result.cases)
        for at in range(part.rounds):
            order = self.random.sample(part.variants, len(part.variants)) if part.makes_cases else part.variants
            for variant in order:
                answers[variant.name].append(self._child(variant, part, at))
            if part.makes_cases:
                cases = [self._case(variant, part, answers[variant.name]) for variant in part.variants]
                self.result.cases = before + cases
                self._write()
        return answers

    def _child(self, variant: Variant, part: Part, at: int) -> Answer:
        self.count += 1
        what = f"{variant.name}: {part.scenario}, {part.shown}"
        self.progress(Step(self.count, len(self.planned), what, self.time_left.seconds()))
        begin = time.monotonic()
        answer = self.machine.child(self._job(variant, part, at))
        self.time_left.took(time.monotonic() - begin)
        self.null_ns += answer.get("null_ns", [])
        return answer

    def _job(self, variant: Variant, part: Part, at: int) -> Job:
        suite = self.suite
        job = job_of(variant, suite, part.scenario, part.length)
        job |= {"arena": part.arena is not False, "seed": suite.seed + at}
        if part.length:
            job["ids"] = _random_ids(part.length, self._vocabulary_size, suite.seed)
        else:
            job["texts"] = self._sampled_texts(part.scenario)
        if part.scenario == "quality":
            assert self.workload is not None
            job["data"], job["metric"] = str(self.workload.path.resolve()), variant.manifest.data.metric
            job["named"] = self.workload.named.as_dict()
        return job

    def _sampled_texts(self, scenario: str) -> list[Input]:
        """The seeded sample of texts, the same for every variant and round."""
        assert self.workload is not None
        drawn, texts = random.Random(self.suite.seed), list(self.workload.inputs)
        drawn.shuffle(texts)
        if scenario == "offline":
            return texts[: max(self.suite.samples, 2 * self.suite.batch_size)]
        return _in_like_thirds(texts[: self.suite.samples], drawn)

    def _case(self, variant: Variant, part: Part, answers: list[Answer]) -> Case:
        case = Case(
            bundle=variant.manifest.name,
            bundle_hash=bundle_hash(variant.folder),
            variant=variant.name,
            target=self.machine.name,
            runtime=variant.runtime,
            scenario=part.scenario,
            batch=self.suite.batch_size if part.scenario == "offline" else 1,
            lengths=part.lengths,
            threads=self.suite.threads,
            size_mb=round(variant.size_mb, 3),
            quality=self.quality.get(variant.name),
            others=others_cores(answers),
            arena=part.arena if RUNTIMES[variant.runtime].has_arena else None,
            role=variant.role,
            instead_of=variant.instead_of or None,
            precision=variant.manifest.precision,
        )
        import_module(f"edgebert.measure.scenarios.{part.scenario}").fill(case, answers)
        raw: dict[str, object] = {"rounds": answers}
        if part.scenario == "single_stream":
            memory.fill(case, self.peaks[variant.name])
            raw["memory"] = self.peaks[variant.name][0]
        try:
            check_sizes("", asdict(case))
            check_case("", asdict(case))
        except ValueError as error:
            subject = f"{variant.folder}: {part.scenario}"
            raise damaged(subject, f"impossible figures ({error})", _elsewhere(self.machine)) from None
        suffix = "-no-arena" if part.arena is False else ""
        case.raw = self._keep_raw(f"{case.variant}-{case.scenario}-{case.lengths}{suffix}", raw)
        return case

    def _keep_raw(self, name: str, document: Mapping[str, object]) -> str:
        check_no_link(self.out / "raw")
        write_json(self.out / f"raw/{name}.json", document)
        return f"raw/{name}.json"

    def _keep_quality(self, answers: Answers) -> None:
        """Measure every variant's quality, and the other variants' difference from the baseline on the same texts."""
        base, *others = self.variants
        for variant in self.variants:
            self.quality[variant.name] = answers[variant.name][0]["quality"]
            self._keep_raw(f"{variant.name}-quality", answers[variant.name][0])
        tables = {name: np.array(several[0]["table"], dtype=np.float64) for name, several in answers.items()}
        for variant in others:
            name = variant.manifest.data.metric
            if name != base.manifest.data.metric or variant.manifest.task != base.manifest.task:
                continue
            metric, what = metric_of(variant.manifest.task, name), f"{name}: {base.name} / {variant.name}"
            first, second = tables[base.name], tables[variant.name]
            if first.shape != second.shape:
                fault = f"for other texts than {base.name}, {second.shape}"
                raise damaged(f"{variant.folder}: quality", fault, _elsewhere(self.machine))
            if not metric.lacks(first) and not metric.lacks(second):
                self.result.differences.append(difference_of(what, metric, first, second, self.suite.seed))
            pair = pair_of(what, metric, first, second)
            self.result.pairs += [pair] if pair else []

    def _ratios(self, part: Part, answers: Answers) -> None:
        """Ratios of the baseline to every other variant in what the scenario compares; none if a value is infinite."""
        scenario = import_module(f"edgebert.measure.scenarios.{part.scenario}")
        if not hasattr(scenario, "COMPARED"):
            return
        rounds = {name: [scenario.compared(answer) for answer in several] for name, several in answers.items()}
        known = {name: np.isfinite(np.concatenate(several)).all() for name, several in rounds.items()}
        base, *others = (variant.name for variant in part.variants)
        for name in others:
            if known[base] and known[name]:
                title = f"{scenario.COMPARED}, {part.shown}: {base} / {name}"
                self.result.ratios.append(median_ratio(title, rounds[base], rounds[name]))
        self._write()


def _elsewhere(machine: Machine) -> str:
    """Name of the machine if it is another one; "" for this one."""
    return machine.name if "://" in machine.name else ""


def _in_like_thirds(texts: Sequence[Input], drawn: random.Random) -> list[Input]:
    """Order texts so that all thirds have similar lengths; drift then does not come from the texts."""
    ordered = sorted(texts, key=lambda text: len(str(text)))
    thirds: list[list[Input]] = [[], [], []]
    for start in range(0, len(ordered), 3):
        for third, text in zip(drawn.sample(thirds, 3), ordered[start : start + 3], strict=False):
            third.append(text)
    for third in thirds:
        drawn.shuffle(third)
    return [text for third in thirds for text in third]


def _random_ids(length: int, vocabulary: int, seed: int) -> list[list[int]]:
    """Make sixteen texts of random tokens with exactly this length."""
    drawn = np.random.default_rng(seed).integers(0, vocabulary, size=(16, length))
    return [[int(value) for value in row] for row in drawn]
