"""`edgebert doctor`: what is installed, what is missing, what this machine can do."""

from __future__ import annotations

import argparse
import importlib.metadata

from edgebert.commands.output import table, write, write_json
from edgebert.commands.profiles import this_machine
from edgebert.cpu import INT8_NAMES
from edgebert.measure.environment import environment
from edgebert.target import profile_names, read_target

PACKAGES = {
    "device": ("numpy", "onnxruntime", "tokenizers"),
    "edgebert[openvino]": ("openvino",),
    "edgebert[report]": ("matplotlib", "jinja2"),
    "edgebert[export]": (
        *("torch", "transformers", "accelerate", "optimum", "onnx", "onnxscript", "nncf", "neural-compressor"),
        "scikit-learn",
    ),
}


def run(arguments: argparse.Namespace) -> int:
    """Report; the exit code is 0 even where something is missing."""
    packages = [(extra, name, _version(name)) for extra, names in PACKAGES.items() for name in names]
    machine = environment()
    fitting = _fitting(machine)
    if arguments.json:
        found = [{"package": name, "version": version, "from": extra} for extra, name, version in packages]
        write_json({"packages": found, "environment": machine, "profiles": fitting, "profile": this_machine()})
        return 0
    write(table(("package", "version", "remedy"), [_row(*package) for package in packages]) + "\n")
    shown = ("cpu", "int8", "cores", "memory_mb", "os", "python")
    write(table(("machine", "value"), [(key, _shown(machine, key)) for key in shown]))
    write(f"\nprofile that export takes here: {this_machine() or 'none; name one with --profile'}")
    write(f"profiles that this machine's instruction set covers: {', '.join(fitting) or 'none'}")
    return 0


def _shown(machine: dict[str, object], key: str) -> object:
    value = machine[key]
    return INT8_NAMES.get(str(value), "unknown") if key == "int8" else value


def _fitting(machine: dict[str, object]) -> list[str]:
    flags = machine["flags"]
    assert isinstance(flags, list)
    fitting = []
    for name in profile_names():
        target = read_target(name)
        cpu = target.export.provider == "CPUExecutionProvider"
        if cpu and target.machine == machine["machine"] and set(target.hardware.features) <= set(flags):
            fitting.append(name)
    return fitting


def _row(extra: str, name: str, version: str | None) -> tuple[str, str, str]:
    return name, version or "missing", "" if version else f"pip install {extra.replace('device', 'edgebert')}"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
