"""The timed loop: one prediction after another, and only the prediction between two clock readings."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable

Clock = Callable[[], int]


def quiet() -> None:
    """Disable the garbage collector in the block."""
    gc.collect()
    gc.freeze()
    gc.disable()


def timed(call: Callable[[int], object], count: int, clock: Clock = time.perf_counter_ns) -> list[int]:
    """Latency of every one of `count` calls, in nanoseconds and in order."""
    latencies_ns = []
    for at in range(count):
        begin = clock()
        call(at)
        latencies_ns.append(clock() - begin)
    return latencies_ns


def timed_for(call: Callable[[int], object], seconds: float, clock: Clock = time.perf_counter_ns) -> array[int]:
    """Latency of every call until the time is up, in nanoseconds and in order; each takes 8 bytes."""
    latencies_ns = array("q")
    end = clock() + int(seconds * 1e9)
    while (begin := clock()) < end:
        call(len(latencies_ns))
        latencies_ns.append(clock() - begin)
    return latencies_ns
