"""Do what `edgebert bench` and `edgebert.bench` ask for: measure bundles and their baseline."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from edgebert.bundle import check_folder, check_outside
from edgebert.data.named import OPTIONS, Named
from edgebert.data.unknown import check_labels, note_of, unknown_labels
from edgebert.errors import DiskError, InputError
from edgebert.lock import held
from edgebert.measure.agreement import agree
from edgebert.measure.bench import bench
from edgebert.measure.estimate import add_estimates
from edgebert.measure.experiment import Experiment
from edgebert.measure.fallback import runnable
from edgebert.measure.fitting import check_fits, check_one_task, naming
from edgebert.measure.gate import Gate
from edgebert.measure.job import Child
from edgebert.measure.progress import Step
from edgebert.measure.read import FORMAT
from edgebert.measure.results import Result
from edgebert.measure.roofline import add_operators, add_roofline
from edgebert.measure.suite import read_suite
from edgebert.measure.targets import open_target
from edgebert.measure.variants import Variant, check_names, find_baseline, variants_of
from edgebert.measure.workload import Workload, read_workload
from edgebert.runtime.contract import open_encoder, read_bundle
from edgebert.runtime.cost import read_cost
from edgebert.runtime.rows import read_texts
from edgebert.strict_json import read_json
from edgebert.target import Target, read_target
from edgebert.tasks.table import device_task


@dataclass(frozen=True)
class Request:
    """What to measure; see `edgebert.bench` for each field. `command` is stored in the result."""

    bundles: tuple[Path, ...]
    command: str
    data: Path | None = None
    suite: Path | None = None
    baseline: str | None = None
    stages: bool = False
    target: str = "local"
    out: Path | None = None
    estimate: tuple[str, ...] = ()
    profile_ops: bool = False
    strict_labels: bool = False
    named: Named = field(default_factory=Named)
    gates: tuple[Gate, ...] = ()

    @property
    def folder(self) -> Path:
        """Folder of the result."""
        first = self.bundles[0]
        return self.out or first.with_name(first.name + ".bench")


class Watcher(Protocol):
    """Gets notified of progress."""

    def __call__(self, step: Step, /) -> None:
        """Receive a step that begins."""

    def say(self, line: str) -> None:
        """Receive a message."""


@dataclass(frozen=True)
class Plan:
    """A checked request: what to measure, and the hardware to estimate latency for."""

    experiment: Experiment
    estimated: list[Target]


def compare(request: Request, watcher: Watcher) -> Result:
    """Check the whole request, then measure, and write `result.json` after every case.

    Raises:
        InputError: Bundles, data, suite or target cannot be used or compared; nothing was measured.
        BusyError: Another bench writes into the folder.
        RunError: A measured process failed, or the bench was interrupted; earlier results are kept.
    """
    plan = _checked(request, watcher.say)
    with held(request.folder, "--out"):
        return _measured(request, plan, watcher)


def _checked(request: Request, say: Callable[[str], None]) -> Plan:
    estimated = [read_target(name) for name in request.estimate]
    suite, first = read_suite(request.suite), request.bundles[0]
    manifest = read_bundle(first)
    if not request.data:
        request.named.refuse(tuple(OPTIONS), "no --data is given")
    with naming(first) if len(request.bundles) > 1 else nullcontext():
        workload = read_workload(request.data, manifest, first, request.named) if request.data else None
    variants = variants_of(request.bundles, find_baseline(first, request.baseline), request.stages, suite)
    check_one_task(manifest, variants)
    for variant in variants:
        open_encoder(variant.folder, variant.manifest)
    if workload:
        check_fits(workload, manifest, variants)
        _check_labels(workload, variants, request.strict_labels, say)
    _check_gates(request.gates, workload)
    check_outside(request.folder)
    check_folder(request.folder)
    _check_result_place(request.folder)
    check_names(variants)
    return Plan(Experiment(variants, workload, suite, request.folder, request.command), estimated)


def _check_result_place(out: Path) -> None:
    """Refuse a folder in which the result would replace something else, or could not be written.

    Raises:
        DiskError: `result.json` there is not a bench result, or `raw` is not a folder.
    """
    path, raw = out / "result.json", out / "raw"
    if os.path.lexists(raw) and (raw.is_symlink() or not raw.is_dir()):
        raise DiskError(f"{raw}: not a folder; move it away or give another --out")
    if not os.path.lexists(path):
        return
    try:
        found = read_json(path)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DiskError(f"{path}: not a result of edgebert bench; move it away or give another --out")


def _check_gates(gates: Sequence[Gate], workload: Workload | None) -> None:
    """Refuse quality checks if no quality will be measured: they could only fail.

    Raises:
        InputError: The data has no labels.
    """
    labelled = workload is not None and workload.examples[0].label is not None
    for gate in gates:
        if gate.metric == "quality" and not labelled:
            raise InputError(f"--fail-if {gate.text!r}: quality takes labelled text; give it by --data")


def _check_labels(workload: Workload, variants: Sequence[Variant], strict: bool, say: Callable[[str], None]) -> None:
    """Report labels of the data file that variants do not have; with `--strict-labels` refuse them.

    Raises:
        DataError: With `--strict-labels`, a variant does not have a label.
    """
    said, several = set(), len([variant for variant in variants if variant.role == "bundle"]) > 1
    for variant in variants:
        task = device_task(variant.manifest.task)(
            variant.manifest.facts, open_encoder(variant.folder, variant.manifest)
        )
        rows = read_texts(workload.path, variant.manifest, workload.named, task.find_tokens)
        unknown = unknown_labels(task, rows)
        if strict:
            with naming(variant.folder) if several else nullcontext():
                check_labels(unknown, task)
        if unknown.rows and (line := note_of(unknown, workload.path)) not in said:
            say(f"edgebert: {line}")
            said.add(line)


def _measured(request: Request, plan: Plan, watcher: Watcher) -> Result:
    """Measure the request on its target."""
    experiment = plan.experiment
    path = experiment.workload.path if experiment.workload else None
    with open_target(request.target, experiment.variants, path, watcher.say) as machine:
        experiment = replace(experiment, variants=runnable(experiment.variants, machine, watcher.say))
        if machine.emulated:
            return agree(experiment, machine, watcher.say)
        result = bench(experiment, machine, watcher)
        add_details(request, replace(plan, experiment=experiment), result, machine.child, watcher.say)
        return result


def add_details(request: Request, plan: Plan, result: Result, child: Child, say: Callable[[str], None]) -> None:
    """Add everything the request asks for besides latencies to a finished bench, and write its result again.

    Raises:
        RunError: A process failed; earlier results are kept.
    """
    experiment = plan.experiment
    for variant in experiment.variants:
        if not read_cost(variant.manifest):
            say(f"no roofline of {variant.name}: exported before its work was counted; export it again")
    add_roofline(result, experiment, child, say)
    result.write(experiment.folder)
    if request.profile_ops:
        add_operators(result, experiment, child, say)
    left_out = add_estimates(result, experiment.variants, plan.estimated, experiment.suite.threads)
    for line in left_out:
        say(line)
    if plan.estimated and not result.estimates and not left_out:
        say("no estimates: they need a single-stream case with a roofline")
    result.write(experiment.folder)
