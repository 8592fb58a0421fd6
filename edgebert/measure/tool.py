"""Run a vendor's tool, if it is installed."""

from __future__ import annotations

import shutil
import subprocess

TIMEOUT_S = 10


def tool_text(*command: str) -> str | None:
    """Standard output of a command; None if it is not installed, fails or does not end."""
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def first_line(*command: str) -> str | None:
    """First line of a command that runs until it is stopped; None if it is not installed."""
    if shutil.which(command[0]) is None:
        return None
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            process.kill()
    except OSError:
        return None
    return line or None
