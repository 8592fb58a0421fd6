"""Threads that share a model, under ThreadSanitizer."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from core_building import build_program
from core_files import write_models

FLAGS = ("-fsanitize=thread", "-g")


@pytest.mark.slow
def test_threads_share_a_model_without_a_race(tmp_path: Path, run_folder: Path) -> None:
    """Model files of uneven layers too: their rows have other places in every layer."""
    program = build_program("shared", FLAGS, tmp_path, run_folder)
    command = [program, *write_models(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if "unexpected memory mapping" in ran.stderr:
        pytest.skip("ThreadSanitizer does not know this kernel's memory layout")
    assert ran.returncode == 0, ran.stdout + ran.stderr
