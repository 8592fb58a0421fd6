"""`edgebert bench`: bundles beside their full-precision baseline."""

from __future__ import annotations

import argparse
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from edgebert.bundle import check_folder, check_outside
from edgebert.commands.bench_details import add_details, show_details
from edgebert.commands.bench_tables import show
from edgebert.commands.output import named_columns, note, write_json
from edgebert.data.named import OPTIONS
from edgebert.data.unknown import check_labels, note_of, unknown_labels
from edgebert.errors import InputError, RunError
from edgebert.measure.agreement import agree
from edgebert.measure.bench import Workload, bench, read_workload
from edgebert.measure.fitting import check_fits, check_one_task, naming
from edgebert.measure.gate import Gate, describe, judge, read_gate, warnings
from edgebert.measure.progress import Terminal
from edgebert.measure.results import Result
from edgebert.measure.suite import Suite, read_suite
from edgebert.measure.targets import open_target
from edgebert.measure.variants import Variant, check_names, find_baseline, variants_of
from edgebert.runtime.contract import read_bundle
from edgebert.runtime.rows import read_texts
from edgebert.runtime.tasks import device_half
from edgebert.target import Target, profile_names, read_target


def run(arguments: argparse.Namespace) -> int:
    """Measure, write `result.json`, show tables, and give 1 where a check of `--fail-if` failed.

    Raises:
        RunError: With `--strict`, the machine was disturbed; the result is written all the same.
    """
    gates = [read_gate(text) for text in arguments.fail_if]
    folders, profiles = told_apart(arguments.bundle, arguments.estimate, arguments.estimate_or_bundle)
    estimated = [read_target(name) for name in profiles]
    bundles = [Path(folder).resolve() for folder in folders]
    suite = read_suite(Path(arguments.suite) if arguments.suite else None)
    manifest = read_bundle(bundles[0])
    named = named_columns(arguments)
    if not arguments.data:
        named.refuse(tuple(OPTIONS), "no --data is given")
    with naming(bundles[0]) if len(bundles) > 1 else nullcontext():
        workload = read_workload(Path(arguments.data), manifest, bundles[0], named) if arguments.data else None
    variants = variants_of(bundles, find_baseline(bundles[0], arguments.baseline), arguments.stages, suite)
    check_one_task(manifest, variants)
    if workload:
        check_fits(workload, manifest, variants)
        _check_labels(workload, variants, arguments.strict_labels)
    _check_gates(gates, workload)
    out = Path(arguments.out) if arguments.out else bundles[0].with_name(bundles[0].name + ".bench")
    check_outside(out)
    check_folder(out)
    check_names(variants)
    terminal = Terminal()
    with _ended_like_ctrl_c():
        try:
            result = _measured(arguments, variants, workload, suite, out, estimated, terminal)
        finally:
            terminal.clear()
    if gates:
        result.gates = judge(gates, result.as_dict())
        result.write(out)
    note(f"result: {out / 'result.json'}")
    if arguments.json:
        write_json(result.as_dict())
    else:
        show(result)
        show_details(result)
    for line in (*warnings(gates, result.as_dict()), *map(describe, result.gates)):
        note(line)
    reasons = (result.verdict or {}).get("reasons", [])
    if arguments.strict and reasons:
        more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        raise RunError(f"refused, the machine was disturbed: {reasons[0]}{more}; the result is kept in {out}")
    return int(any(row["failed"] for row in result.gates))


def told_apart(bundles: list[str], estimate: list[str], rest: list[str]) -> tuple[list[str], list[str]]:
    """Bundles and profiles as they were meant: `--estimate A B BUNDLE` names two profiles, and so does `A,B`.

    Args:
        bundles: What stood where bundles stand.
        estimate: What each `--estimate` was given.
        rest: What stood behind an option that stood behind a bundle.

    Raises:
        InputError: Every word names a profile, or a name is empty.
    """
    if not estimate:
        return bundles, []
    known = {*profile_names()}
    named = [word for word in bundles if (word in known or word.endswith(".toml")) and not Path(word).is_dir()]
    # One that is neither a folder nor a profile is refused as a profile, for a bundle has been named before it.
    named += [word for word in rest if not Path(word).is_dir()]
    folders = [word for word in (*bundles, *rest) if word not in named]
    if not folders:
        raise InputError(f"no bundle is given beside --estimate {' '.join((*estimate, *named))}; give its folder")
    profiles = [name.strip() for given in estimate for name in given.split(",")]
    if "" in profiles:
        raise InputError(f"--estimate {' '.join(estimate)}: a name between commas is empty; leave the comma out")
    return folders, profiles + named


def _check_gates(gates: list[Gate], workload: Workload | None) -> None:
    """Refuse checks of quality where none will be measured: they could only fail.

    Raises:
        InputError: There is no labelled text.
    """
    labelled = workload is not None and workload.examples[0].label is not None
    for gate in gates:
        if gate.metric == "quality" and not labelled:
            raise InputError(f"--fail-if {gate.text!r}: quality takes labelled text; give it by --data")


def _check_labels(workload: Workload, variants: list[Variant], strict: bool) -> None:
    """Say which labels of the data file variants do not have; with `--strict-labels` refuse them.

    Raises:
        DataError: With `--strict-labels`, a variant does not have a label.
    """
    said, several = set(), len([variant for variant in variants if variant.role == "bundle"]) > 1
    for variant in variants:
        rows = read_texts(workload.path, variant.manifest, workload.named)
        task = device_half(variant.manifest["task"]).TASK(variant.manifest, None)
        unknown = unknown_labels(task, rows)
        if strict:
            with naming(variant.folder) if several else nullcontext():
                check_labels(unknown, task)
        if unknown.rows and (line := note_of(unknown, workload.path)) not in said:
            note(f"edgebert: {line}")
            said.add(line)


def _measured(
    arguments: argparse.Namespace,
    variants: list[Variant],
    workload: Workload | None,
    suite: Suite,
    out: Path,
    estimated: list[Target],
    terminal: Terminal,
) -> Result:
    """Everything that was asked for, on the target that was asked for."""
    command = "edgebert " + shlex.join(arguments.argv)
    data = workload.path if workload else None
    with open_target(arguments.target, variants, data, terminal.say) as machine:
        if machine.emulated:
            return agree(variants, workload, suite, out, command, machine, terminal.say)
        where = (machine.child, machine.name, machine.environment)
        result = bench(variants, workload, suite, out, command, terminal, *where)
        inputs = workload.inputs if workload else []
        add_details(result, variants, inputs, suite, out, arguments.profile_ops, estimated, machine.child, terminal.say)
        return result


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """Take SIGTERM and SIGHUP (not on Windows) as Ctrl-C, so that measured processes end and results are kept."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    known = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
    ending = [number for number in known if number is not None and signal.getsignal(number) is signal.SIG_DFL]
    before = {number: signal.signal(number, interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
