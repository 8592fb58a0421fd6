"""Start a fresh process for one case, and wait for it without using the processor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from edgebert.errors import BundleError, EdgeBertError, RunError
from edgebert.measure.job import Answer, Job
from edgebert.measure.received import check_received, damaged
from edgebert.strict_json import parse_json

TIMEOUT_S = 3600
# Scenarios that answer all texts of the data file.
WHOLE_FILE = ("quality", "answers")
CHILD = ("-m", "edgebert.measure.child")


def run_child(job: Job) -> Answer:
    """Run `edgebert.measure.child` on a job, on this machine.

    Returns:
        The child's document, with `cold_start_ns` from the process's start to its first answer.

    Raises:
        RunError: The child failed; the message has its last line.
    """
    return run_process([sys.executable, *CHILD], job)


def run_process(
    command: Sequence[str], job: Job, variables: Mapping[str, str] | None = None, target: str = ""
) -> Answer:
    """Run a command that reads a job from standard input and writes a document to standard output.

    Args:
        command: Program and arguments.
        job: The job.
        variables: The process's complete environment; this process's if not given.
        target: Name of the machine that it runs on, for a message; "" for this one.

    Raises:
        RunError: It failed (the message has its last line), took more than an hour, or its document lacks values of the
            job's scenario (for a target, `TargetError`).
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
    try:
        document = parse_json(child.stdout, finite=False)
    except ValueError:
        document = child.stdout
    return with_cold_start(job, document, spawned_ns, target)


def with_cold_start(job: Job, document: object, spawned_ns: int, target: str = "") -> Answer:
    """Check a process's document, and add the time from its start to its first answer if there was one.

    Raises:
        RunError: The document lacks values of the job's scenario, or a value has the wrong type.
        TargetError: The same, if it came from a target.
    """
    subject = _subject(job)
    found = check_received(subject, job["scenario"], document, target)
    if "first_ns" in found:
        if found["first_ns"] <= spawned_ns:
            raise damaged(subject, f"with 'first_ns' {found['first_ns']}, before the process began", target)
        found["cold_start_ns"] = found["first_ns"] - spawned_ns
    return found


def failure(job: Job, reason: str) -> EdgeBertError:
    """Make the error of a process that failed; it is the bundle's own error if the process says so."""
    kind, _, fault = reason.partition(": ")
    if kind == f"{BundleError.__module__}.{BundleError.__name__}":
        return BundleError(fault)
    return RunError(f"{_subject(job)} failed: {reason}")


def overtime(job: Job) -> RunError:
    """Make the error of a process that was stopped after its time limit."""
    remedy = "a shorter --data" if job["scenario"] in WHOLE_FILE else "fewer samples"
    return RunError(f"{_subject(job)} took more than {TIMEOUT_S} s; give {remedy}")


def last_line(text: str) -> str:
    """Last line of a program's error output, or nothing."""
    return (text.strip().splitlines() or [""])[-1].strip()


def _subject(job: Job) -> str:
    return f"{job['bundle']}: {job['scenario']}" if "bundle" in job else str(job["scenario"])
