"""CPU time of other processes, from the kernel's counters."""

import os
import subprocess
import sys
import time

import pytest

from edgebert.measure.others import ProcessorTime, busy_ticks, others_cores, processor_time, spent

STAT = """cpu  100 0 50 1000 10 0 5 20 0 0
cpu0 60 1 30 500 5 2 3 15 7 7
cpu1 40 0 20 500 5 0 2 5 0 0
cpu10 9 9 9 9 9 9 9 9 9 9
intr 12345
"""


@pytest.mark.parametrize(
    ("cores", "ticks"),
    [
        ({0}, 60 + 1 + 30 + 2 + 3 + 15),
        ({1}, 40 + 20 + 2 + 5),
        ({0, 1}, 111 + 67),
        ({10}, 54),
        ({5}, None),
    ],
)
def test_busy_is_what_is_neither_idle_nor_waiting_for_a_disk(cores: set[int], ticks: int | None) -> None:
    assert busy_ticks(STAT, cores) == ticks


def test_nothing_can_be_told_of_an_empty_file() -> None:
    assert busy_ticks("", {0}) is None
    assert spent(ProcessorTime(0, 0, None), ProcessorTime(9, 9, None)) is None


def test_others_are_who_was_busy_less_this_process() -> None:
    before, after = ProcessorTime(100, 10, 1000), ProcessorTime(1100, 910, 2400)
    assert spent(before, after) == {"wall_ns": 1000, "own_ns": 900, "busy_ns": 1400}
    calm = {"wall_ns": 1000, "own_ns": 1000, "busy_ns": 1000}
    assert others_cores([{"processor": spent(before, after)}, {"processor": calm}, {}]) == 500 / 2000
    assert others_cores([{"processor": {"wall_ns": 10, "own_ns": 10, "busy_ns": 4}}]) == 0.0
    assert others_cores([{"processor": None}, {}]) is None


def test_a_tool_that_was_run_is_no_other_process() -> None:
    before, own_ns = processor_time(), time.process_time_ns()
    busy = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    told_ns = processor_time().own_ns - before.own_ns
    # Of children the system counts user and system time in ticks of 10 ms, each cut off.
    assert told_ns - (time.process_time_ns() - own_ns) > 79_000_000


def test_this_machines_clocks_go_forward() -> None:
    before = processor_time()
    end = time.process_time_ns() + 20_000_000
    while time.process_time_ns() < end:
        os.getpid()
    after = processor_time()
    assert after.wall_ns > before.wall_ns
    assert after.own_ns - before.own_ns >= 20_000_000
    assert after.busy_ns is None or after.busy_ns >= (before.busy_ns or 0)
