"""`edgebert bench`: bundles beside their full-precision baseline."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from edgebert.commands.bench_details import show_details
from edgebert.commands.bench_tables import show
from edgebert.commands.interrupts import ended_like_ctrl_c
from edgebert.commands.output import named_columns, note, write_json
from edgebert.errors import InputError, RunError
from edgebert.measure.compare import Request, compare
from edgebert.measure.gate import describe, judge, read_gate, warnings
from edgebert.measure.progress import Terminal
from edgebert.target import profile_names


def run(arguments: argparse.Namespace) -> int:
    """Measure, write `result.json`, show tables, and return 1 if a `--fail-if` check failed.

    Raises:
        RunError: With `--strict`, the machine was disturbed. The result is written nevertheless.
    """
    gates = [read_gate(text) for text in arguments.fail_if]
    folders, profiles = told_apart(arguments.bundle, arguments.estimate, arguments.estimate_or_bundle)
    bundles = [Path(folder).resolve() for folder in folders]
    named = named_columns(arguments)
    request = Request(
        tuple(bundles),
        "edgebert " + shlex.join(arguments.argv),
        Path(arguments.data) if arguments.data else None,
        Path(arguments.suite) if arguments.suite else None,
        arguments.baseline,
        arguments.stages,
        arguments.target,
        Path(arguments.out) if arguments.out else None,
        tuple(profiles),
        arguments.profile_ops,
        arguments.strict_labels,
        named,
        tuple(gates),
    )
    out, terminal = request.folder, Terminal()
    with ended_like_ctrl_c():
        try:
            result = compare(request, terminal)
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
        raise RunError(f"--strict: the machine was disturbed: {reasons[0]}{more}; the result is kept in {out}")
    return int(any(row["failed"] for row in result.gates))


def told_apart(bundles: list[str], estimate: list[str], rest: list[str]) -> tuple[list[str], list[str]]:
    """Separate bundles from profiles as the user meant them: `--estimate A B BUNDLE` names two profiles; so does `A,B`.

    Args:
        bundles: Arguments in the position of bundles.
        estimate: The values of each `--estimate`.
        rest: Arguments after an option that follows a bundle.

    Raises:
        InputError: Every word names a profile, or a name is empty.
    """
    if not estimate:
        return bundles, []
    known = {*profile_names()}
    named = [word for word in bundles if (word in known or word.endswith(".toml")) and not Path(word).is_dir()]
    # An argument that is neither a folder nor a profile is reported as an unknown profile, because a bundle was named
    # before it.
    named += [word for word in rest if not Path(word).is_dir()]
    folders = [word for word in (*bundles, *rest) if word not in named]
    if not folders:
        raise InputError(f"no bundle is given besides --estimate {' '.join((*estimate, *named))}; give its folder")
    profiles = [name.strip() for given in estimate for name in given.split(",")]
    if "" in profiles:
        raise InputError(f"--estimate {' '.join(estimate)}: a name between commas is empty; leave the comma out")
    return folders, profiles + named
