"""Start a fresh process for one case, and wait for it without using the processor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from edgebert.errors import RunError

TIMEOUT_S = 3600
# Scenarios that answer every text of the data file.
WHOLE_FILE = ("quality", "answers")
CHILD = ("-m", "edgebert.measure.child")


def run_child(job: dict[str, Any]) -> dict[str, Any]:
    """Run `edgebert.measure.child` on a job, here.

    Returns:
        The child's document, with `cold_start_ns` from the process's start to its first answer.

    Raises:
        RunError: The child failed; the message has its last line.
    """
    return run_process([sys.executable, *CHILD], job)


def run_process(
    command: Sequence[str], job: dict[str, Any], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a command that reads a job from standard input and writes a document to standard output.

    Args:
        command: Program and arguments.
        job: What to do.
        variables: The process's whole environment; this one's if not given.

    Raises:
        RunError: It failed or took more than an hour; the message has its last line.
    """
    spawned_ns = time.monotonic_ns()
    try:
        child = subprocess.run(
            command,
            input=json.dumps(job),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            env=variables,
        )
    except subprocess.TimeoutExpired:
        raise overtime(job) from None
    if child.returncode:
        raise failure(job, last_line(child.stderr) or f"exit code {child.returncode}")
    return with_cold_start(json.loads(child.stdout), spawned_ns)


def with_cold_start(document: dict[str, Any], spawned_ns: int) -> dict[str, Any]:
    """Add the time from the process's start to its first answer, where it gave one."""
    if "first_ns" in document:
        document["cold_start_ns"] = document["first_ns"] - spawned_ns
    return document


def failure(job: dict[str, Any], reason: str) -> RunError:
    """Error of a process that failed."""
    return RunError(f"{_subject(job)} failed: {reason}")


def overtime(job: dict[str, Any]) -> RunError:
    """Error of a process that was stopped."""
    remedy = "a shorter --data" if job["scenario"] in WHOLE_FILE else "fewer samples"
    return RunError(f"{_subject(job)} took more than {TIMEOUT_S} s; give {remedy}")


def last_line(text: str) -> str:
    """Last line of a program's complaint, or nothing."""
    return (text.strip().splitlines() or [""])[-1].strip()


def _subject(job: dict[str, Any]) -> str:
    return f"{job['bundle']}: {job['scenario']}" if "bundle" in job else str(job["scenario"])
