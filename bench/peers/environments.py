"""Virtual environments of the peers. Each is made from its requirements file if it is missing or outdated."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from edgebert.errors import RunError, SettingsError
from edgebert.measure.process import last_line

HERE = Path(__file__).resolve().parent
OURS = "edgebert"


def interpreter(name: str, root: Path) -> str:
    """Return the Python of an environment. The environment is made if necessary.

    Raises:
        SettingsError: There is no such requirements file.
        RunError: A package could not be installed. The message contains pip's last line.
    """
    if name == OURS:
        return sys.executable
    requirements = HERE / "requirements" / f"{name}.txt"
    if not requirements.is_file():
        raise SettingsError(f"{requirements}: no such file; it says what environment {name!r} needs")
    folder, wanted = root / name, requirements.read_text(encoding="utf-8")
    python, ready = folder / "bin/python", folder / ".ready"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    if not ready.is_file() or ready.read_text(encoding="ascii") != digest:
        sys.stderr.write(f"peers: making environment {name}\n")
        _make(folder, python, requirements, wanted)
        ready.write_text(digest, encoding="ascii")
    return str(python)


def variables(name: str, threads: int) -> dict[str, str]:
    """Environment variables of a contender's process: the number of threads for all libraries, and no model hub."""
    ours = ("PYTHONPATH",) if name == OURS else ()
    kept = {key: value for key, value in os.environ.items() if key in ours or not key.startswith("PYTHON")}
    limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**kept, **limits, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def _make(folder: Path, python: Path, requirements: Path, wanted: str) -> None:
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder)], folder.name)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # Install the CPU release first and separately: a version range would install several GB for a GPU.
    for line in wanted.splitlines():
        if line.startswith("torch=="):
            _run([*install, line], folder.name)
    _run([*install, "--requirement", str(requirements)], folder.name)


def _run(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables(name, 1))
    if done.returncode:
        reason = last_line(done.stderr) or f"exit code {done.returncode}"
        raise RunError(f"environment {name}: {' '.join(command[1:4])} failed: {reason}")
