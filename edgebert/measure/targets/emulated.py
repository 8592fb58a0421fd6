"""`qemu://CPU`: run a bundle on an emulated ARM or older x86 CPU, to check its answers and not its speed.

ARM has its own root folder and wheels. x86 runs this machine's Python with the packages installed here.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import edgebert
from edgebert import __version__
from edgebert.cpu import X86
from edgebert.errors import InputError
from edgebert.measure.job import Answer, Environment, Job
from edgebert.measure.process import CHILD, run_process
from edgebert.measure.received import environment_of
from edgebert.measure.targets.machine import Machine
from edgebert.measure.targets.payload import device_half

ARM_CPUS = ("cortex-a72", "cortex-a76", "neoverse-v1")
# qemu's names. Haswell has AVX2 and no VNNI, Nehalem SSE4.2 and no AVX2; qemu 10 emulates no AVX-512.
X86_CPUS = {"haswell": "Haswell", "nehalem": "Nehalem"}


def arm_folder() -> Path:
    """Folder of qemu, an arm64 root and ARM wheels from `bench/qemu-setup`: `$EDGEBERT_ARM64`, or the user's cache."""
    return Path(os.environ.get("EDGEBERT_ARM64") or _cache() / "arm64")


def x86_folder() -> Path:
    """Folder of qemu from `bench/qemu-setup --x86`: `$EDGEBERT_X86`, or the user's cache."""
    return Path(os.environ.get("EDGEBERT_X86") or _cache() / "x86")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgebert"


@contextmanager
def emulated(cpu: str) -> Iterator[Machine]:
    """Provide an emulated machine whose processes open the bundles on an ARM CPU, or on an older x86 one.

    Raises:
        InputError: No such CPU, or the emulation has not been set up.
    """
    if cpu in X86_CPUS:
        yield _x86(cpu)
    elif cpu in ARM_CPUS:
        with tempfile.TemporaryDirectory(prefix="edgebert-") as sources:
            yield _arm(cpu, Path(sources))
    else:
        raise InputError(f"target 'qemu://{cpu}': unknown CPU; expected {', '.join((*ARM_CPUS, *X86_CPUS))}")


def _arm(cpu: str, sources: Path) -> Machine:
    """A machine whose processes only see the device half, copied to `sources`, and ARM wheels."""
    folder = arm_folder()
    qemu, root, site = folder / "qemu-aarch64", folder / "root", folder / "site"
    python = root / "usr" / "bin" / "python3.11"
    _check_there(cpu, "ARM", (qemu, python, site / "onnxruntime"), "bench/qemu-setup")
    version = _version(cpu, qemu, "bench/qemu-setup")
    for place, path in device_half().items():
        copy = sources / place
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LD_", "OPENBLAS_"))}
    variables |= {"PYTHONPATH": f"{sources}{os.pathsep}{site}"}
    command = [str(qemu), "-cpu", cpu, "-L", str(root), str(python)]
    return _machine(cpu, command, variables, f"{version}, -cpu {cpu}")


def _x86(cpu: str) -> Machine:
    """A machine whose processes use this Python, its packages and this EdgeBERT."""
    if platform.machine() != X86:
        raise InputError(
            f"qemu://{cpu}: runs this machine's own Python, so it needs x86_64; here is {platform.machine()}"
        )
    qemu, setup = x86_folder() / "qemu-x86_64", "bench/qemu-setup --x86"
    _check_there(cpu, "x86", (qemu,), setup)
    name = X86_CPUS[cpu]
    told = f"{_version(cpu, qemu, setup)}, -cpu {name}"
    paths = [str(Path(edgebert.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    # OPENBLAS_CORETYPE selects a kernel for this machine's processor, which the emulated one may not support.
    variables = {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}
    variables |= {"PYTHONPATH": os.pathsep.join(paths)}
    # /proc/cpuinfo is the host's: its name and flags are not those of the emulated CPU.
    instead: Environment = {"cpu": f"{name}, emulated", "family_model": "", "flags": []}
    return _machine(cpu, [str(qemu), "-cpu", name, sys.executable], variables, told, instead)


def _machine(
    cpu: str, python: Sequence[str], variables: dict[str, str], told: str, instead: Environment | None = None
) -> Machine:
    """A machine that runs jobs with a command; `instead` corrects entries of the environment that it reads wrongly."""

    def child(job: Job) -> Answer:
        return run_process([*python, *CHILD], job, variables, f"qemu://{cpu}")

    def environment() -> Environment:
        found = environment_of(child({"scenario": "environment"}))
        versions = found["versions"] | {"edgebert": __version__}
        found = {**found, **(instead or {}), "versions": versions}
        return {**found, "emulated": told}

    return Machine(f"qemu://{cpu}", child, environment, told)


def _check_there(cpu: str, kind: str, paths: Sequence[Path], setup: str) -> None:
    missing = next((path for path in paths if not path.exists()), None)
    if missing:
        raise InputError(f"qemu://{cpu}: no emulated {kind} here ({missing} is missing); run {setup}")


def _version(cpu: str, qemu: Path, setup: str) -> str:
    try:
        told = subprocess.run([qemu, "-version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"qemu://{cpu}: {qemu} cannot be run ({error}); run {setup} again") from None
    return told.splitlines()[0].split(" (")[0]
