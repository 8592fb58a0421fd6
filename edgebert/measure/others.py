"""Processor time that other processes used during a measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from edgebert.runtime.cores import usable_cores

if TYPE_CHECKING:
    from edgebert.measure.job import Answer

IDLE_COLUMNS = {3, 4}
COUNTED_COLUMNS = 8


class ProcessorTime(NamedTuple):
    """Nanoseconds of wall time, of this process, and of all processes on the cores that it may use.

    This process's time includes all its threads, and the tools that it ran and waited for.
    """

    wall_ns: int
    own_ns: int
    busy_ns: int | None


def processor_time() -> ProcessorTime:
    """Read the clocks; `busy_ns` is None if the kernel does not report it."""
    try:
        text = Path("/proc/stat").read_text(encoding="ascii")
    except OSError:
        text = ""
    ticks = busy_ticks(text, usable_cores())
    busy_ns = None if ticks is None else ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    own_ns = time.process_time_ns() + int(sum(os.times()[2:4]) * 1e9)
    return ProcessorTime(time.monotonic_ns(), own_ns, busy_ns)


def busy_ticks(stat: str, cores: Collection[int]) -> int | None:
    """Ticks in which some cores were not idle, including time stolen by the hypervisor (proc(5), /proc/stat).

    Returns:
        None if the text has none of the cores.
    """
    names = {f"cpu{core}" for core in cores}
    rows = [line.split() for line in stat.splitlines() if line.startswith("cpu")]
    found = [row[1 : 1 + COUNTED_COLUMNS] for row in rows if row[0] in names]
    return sum(int(cell) for row in found for at, cell in enumerate(row) if at not in IDLE_COLUMNS) if found else None


def spent(before: ProcessorTime, after: ProcessorTime) -> dict[str, int] | None:
    """Time between two readings; None if the kernel does not report what others used."""
    if before.busy_ns is None or after.busy_ns is None:
        return None
    return {
        "wall_ns": after.wall_ns - before.wall_ns,
        "own_ns": after.own_ns - before.own_ns,
        "busy_ns": after.busy_ns - before.busy_ns,
    }


def others_cores(answers: Sequence[Answer]) -> float | None:
    """Number of cores that others kept busy meanwhile, to three digits; None if unknown."""
    known = [processor for answer in answers if (processor := answer.get("processor"))]
    wall_ns = sum(each["wall_ns"] for each in known)
    if not wall_ns:
        return None
    others_ns = sum(each["busy_ns"] - each["own_ns"] for each in known)
    return round(max(0.0, others_ns / wall_ns), 3)
