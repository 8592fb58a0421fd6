"""`edgebert doctor`: what is installed, what is missing or too old, what this machine can do."""

from __future__ import annotations

import argparse

from edgebert.commands.output import table, write, write_json
from edgebert.commands.profiles import this_machine
from edgebert.cpu import INT8_NAMES
from edgebert.measure.environment import environment
from edgebert.measure.job import Environment
from edgebert.runtime.sessions.core import kernel_names
from edgebert.runtimes import CORE, RUNTIMES, Runtime
from edgebert.target import profile_names, read_target
from edgebert.versions import Requirement, installed_version, is_older, requirements

# Extras whose packages are listed; `dev` and `demo` serve a clone.
EXTRAS = {"": "edgebert"} | {
    extra: f"edgebert[{extra}]" for extra in ("openvino", "parquet", "report", "export", "nncf", "neural-compressor")
}


def run(arguments: argparse.Namespace) -> int:
    """Report the installation and the machine; the exit code is 0 even if something is missing."""
    packages = [(needed, installed_version(needed.package)) for needed in _listed()]
    machine = environment()
    fitting, known = _fitting(machine), list(RUNTIMES.values())
    if arguments.json:
        found = [_entry(*package) for package in packages]
        document = {"packages": found, "runtimes": [_runtime(row) for row in known], "environment": machine}
        write_json({**document, "profiles": fitting, "profile": this_machine()})
        return 0
    write(table(("package", "version", "at least", "remedy"), [_row(*package) for package in packages]) + "\n")
    rows = [(row.name, row.graph, _usable(row)) for row in known]
    write(table(("runtime", "graph in a bundle", "usable here"), rows) + "\n")
    shown = ("cpu", "int8", "cores", "memory_mb", "os", "python")
    write(table(("machine", "value"), [(key, _shown(machine, key)) for key in shown]))
    write(f"\nprofile that export uses here: {this_machine() or 'none; name one with --profile'}")
    write(f"profiles that this machine's instruction set covers: {', '.join(fitting) or 'none'}")
    return 0


def _usable(row: Runtime) -> str:
    if row.is_usable:
        return f"yes, kernel {kernel_names()[0]}" if row is CORE else "yes"
    return f"no: {row.unusable()}" if row.unusable() else f"no, pip install {row.install}"


def _runtime(row: Runtime) -> dict[str, object]:
    found: dict[str, object] = {
        "runtime": row.name,
        "graph": row.graph,
        "version": row.version,
        "usable": row.is_usable,
    }
    return {**found, "kernels": kernel_names()} if row is CORE and row.is_usable else found


def _shown(machine: Environment, key: str) -> object:
    value = machine.get(key)
    return INT8_NAMES.get(str(value), "unknown") if key == "int8" else value


def _fitting(machine: Environment) -> list[str]:
    flags = set(machine["flags"])
    fitting = []
    for name in profile_names():
        target = read_target(name)
        cpu = target.export.provider == "CPUExecutionProvider"
        if cpu and target.machine == machine["machine"] and set(target.hardware.features) <= flags:
            fitting.append(name)
    return fitting


def _listed() -> list[Requirement]:
    """Direct dependencies from the package's metadata, the device's first; once for each extra that names them."""
    found = [needed for needed in requirements() if needed.extra in EXTRAS]
    return sorted(found, key=lambda needed: list(EXTRAS).index(needed.extra))


def _entry(needed: Requirement, version: str | None) -> dict[str, object]:
    return {
        "package": needed.package,
        "version": version,
        "from": EXTRAS[needed.extra] if needed.extra else "device",
        "at_least": needed.floor or None,
        "fits": _fits(needed, version),
    }


def _row(needed: Requirement, version: str | None) -> tuple[str, str, str, str]:
    upgrade = f"pip install '{needed.package}>={needed.floor}'"
    remedy = upgrade if version else f"pip install {EXTRAS[needed.extra]}"
    return needed.package, version or "missing", needed.floor, "" if _fits(needed, version) else remedy


def _fits(needed: Requirement, version: str | None) -> bool:
    return version is not None and not (needed.floor and is_older(version, needed.floor))
