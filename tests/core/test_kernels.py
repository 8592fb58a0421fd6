"""Every kernel of the native core gives the integers of plain C, and its arithmetic keeps its promised errors."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from core_building import SANITIZERS, build_program


@pytest.mark.parametrize("flags", [(), SANITIZERS], ids=["as it is", "sanitizers"])
@pytest.mark.parametrize("program", ["kernels", "arithmetic"])
def test_kernels_are_exact(program: str, flags: tuple[str, ...], tmp_path: Path, run_folder: Path) -> None:
    """The program of core/tests succeeds; it says what differs."""
    built = build_program(program, flags, tmp_path, run_folder)
    ran = subprocess.run([built], capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
