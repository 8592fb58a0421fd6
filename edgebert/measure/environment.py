"""The machine of a measurement, as far as it can be read without special rights."""

from __future__ import annotations

import importlib.metadata
import platform
from pathlib import Path

from edgebert.cpu import read_cpuinfo, this_cpu
from edgebert.measure import nvidia
from edgebert.measure.job import Environment, GpuRow
from edgebert.measure.thermal import machine_state
from edgebert.runtime.cores import usable_cores
from edgebert.runtimes import RUNTIMES

PACKAGES = ("edgebert", "numpy", *(name for row in RUNTIMES.values() for name in row.packages), "tokenizers")


def environment() -> Environment:
    """Describe this machine and its state; None for what cannot be read.

    CPU, its flags and INT8 instructions (`Cpu.int8`), cores, memory, kernel, versions, GPUs.
    """
    cpuinfo, cpu, cores = read_cpuinfo(), this_cpu(), usable_cores()
    flags = cpuinfo.get("flags") or cpuinfo.get("Features") or ""
    return {
        "cpu": cpu.name,
        "int8": cpu.int8,
        "family_model": "/".join(cpuinfo.get(key, "?") for key in ("cpu family", "model")),
        "machine": platform.machine(),
        "flags": sorted(flags.split()),
        "cores": len(cores),
        "affinity": cores,
        "memory_mb": _memory_mb(),
        "os": f"{platform.system()} {platform.release()}",
        "kernel": platform.version(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "gpu": _gpus(),
        **machine_state(),
    }


def _gpus() -> list[GpuRow] | None:
    """Describe the GPUs; their state is part of the machine's."""
    found = nvidia.gpus() or []
    rows: list[GpuRow] = [
        {"name": gpu["name"], "driver": gpu["driver"], "memory_mb": gpu["memory_mb"]} for gpu in found
    ]
    return rows or None


def _memory_mb() -> int | None:
    text = _read("/proc/meminfo")
    return int(text.split()[1]) // 1024 if text and text.startswith("MemTotal") else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
