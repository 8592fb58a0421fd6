"""Processor cores that this process may use, on Linux, macOS and Windows."""

from __future__ import annotations

import os


def usable_cores() -> list[int]:
    """List the numbers of the cores that this process may run on, in ascending order.

    On macOS and Windows the standard library cannot read an affinity, so every core counts.
    """
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def core_count() -> int:
    """Count the cores that this process may run on."""
    return len(usable_cores())
