"""Facts about the CPU for tests of INT8: the form that is exact on it, and CPUs to simulate."""

import platform
import sys
import tempfile
from pathlib import Path

import pytest

from edgebert import cpu
from edgebert.cpu import this_cpu
from edgebert.target import ExportChoice, fitting_profile, read_target


def profile_here() -> str:
    """Name of the profile whose INT8 form is exact on this CPU."""
    return fitting_profile(this_cpu())[0]


def choice_here() -> ExportChoice:
    """The INT8 form that is exact on this CPU."""
    return read_target(profile_here()).export


def pretend(monkeypatch: pytest.MonkeyPatch, *features: str, machine: str = "x86_64") -> None:
    """Let this process treat its CPU as one with these features."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(cpu, "glibc_features", lambda: frozenset(features))
    first = {"model name": "Some CPU", "Features": " ".join(features)}
    monkeypatch.setattr(cpu, "read_cpuinfo", lambda: first)


def start_children_under(emulator: str) -> None:
    """Run the processes that tests start with `sys.executable` in an emulator too (`bench/as-cpu`)."""
    wrapper = Path(tempfile.mkdtemp(prefix="edgebert-python-")) / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {emulator} "{sys.executable}" "$@"\n')
    wrapper.chmod(0o755)
    sys.executable = str(wrapper)
