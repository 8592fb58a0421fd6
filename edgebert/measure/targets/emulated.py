"""`qemu://CPU`: the bundle on an emulated ARM core. It shows that the answers are right there, never how fast."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebert import __version__
from edgebert.errors import InputError
from edgebert.measure.process import CHILD, run_process
from edgebert.measure.targets.machine import Machine
from edgebert.measure.targets.payload import device_half

CPUS = ("cortex-a72", "cortex-a76", "neoverse-v1")


def arm_folder() -> Path:
    """Where `bench/qemu-setup` puts qemu, an arm64 root and ARM wheels: `$EDGEBERT_ARM64`, or the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("EDGEBERT_ARM64") or Path(cache) / "edgebert" / "arm64")


@contextmanager
def emulated(cpu: str) -> Iterator[Machine]:
    """Lend an emulated machine whose processes see the device half and ARM wheels alone.

    Raises:
        InputError: No such CPU, or the emulation has not been set up.
    """
    if cpu not in CPUS:
        raise InputError(f"target 'qemu://{cpu}': unknown CPU; expected {', '.join(CPUS)}")
    folder = arm_folder()
    qemu, root, site = folder / "qemu-aarch64", folder / "root", folder / "site"
    python = root / "usr" / "bin" / "python3.11"
    missing = next((path for path in (qemu, python, site / "onnxruntime") if not path.exists()), None)
    if missing:
        raise InputError(f"qemu://{cpu}: no emulated ARM here ({missing} is missing); run bench/qemu-setup")
    version = _version(cpu, qemu)
    with tempfile.TemporaryDirectory(prefix="edgebert-") as sources:
        for place, path in device_half().items():
            copy = Path(sources) / place
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        variables = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LD_"))}
        variables |= {"PYTHONPATH": f"{sources}{os.pathsep}{site}"}
        command = [str(qemu), "-cpu", cpu, "-L", str(root), str(python), *CHILD]

        def child(job: dict[str, Any]) -> dict[str, Any]:
            return run_process(command, job, variables)

        def environment() -> dict[str, Any]:
            found = child({"scenario": "environment"})
            found["versions"] = found["versions"] | {"edgebert": __version__}
            return found | {"emulated": f"{version}, -cpu {cpu}"}

        yield Machine(f"qemu://{cpu}", child, environment, f"{version}, -cpu {cpu}")


def _version(cpu: str, qemu: Path) -> str:
    try:
        told = subprocess.run([qemu, "-version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"qemu://{cpu}: {qemu} cannot be run ({error}); run bench/qemu-setup again") from None
    return told.splitlines()[0].split(" (")[0]
