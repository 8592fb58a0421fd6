"""Start a fresh process for one case, and wait for it without using the processor."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from edgebert.errors import RunError

TIMEOUT_S = 3600


def run_child(job: dict[str, Any]) -> dict[str, Any]:
    """Run `edgebert.measure.child` on a job.

    Returns:
        The child's document, with `cold_start_ns` from the process's start to its first answer.

    Raises:
        RunError: The child failed; the message has its last line.
    """
    spawned_ns = time.monotonic_ns()
    command = [sys.executable, "-m", "edgebert.measure.child"]
    try:
        child = subprocess.run(
            command, input=json.dumps(job), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"{job['bundle']}: {job['scenario']} took more than {TIMEOUT_S} s; give fewer samples") from None
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        raise RunError(f"{job['bundle']}: {job['scenario']} failed: {last}")
    document: dict[str, Any] = json.loads(child.stdout)
    document["cold_start_ns"] = document["first_ns"] - spawned_ns
    return document
