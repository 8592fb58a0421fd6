"""Energy of an inference: from counters if the processor has them (RAPL), else from sampled watts (INA, Jetson, GPU).

Energy is measured in a separate loop after the timed one, so that reading a sensor never affects a latency.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from edgebert.measure import jetson, nvidia
from edgebert.measure.job import Power
from edgebert.measure.loop import timed_for

SYS = Path("/sys")
LOOP_S = 2.0
INTERVAL_S = 0.1


@dataclass(frozen=True)
class Counter:
    """A counter of microjoules that wraps around after `range_uj`."""

    name: str
    path: Path
    range_uj: int

    def read_uj(self) -> int:
        """Read the counter."""
        return int(self.path.read_text(encoding="ascii"))


@dataclass(frozen=True)
class Sensor:
    """A sensor that reads the current watts, or None."""

    name: str
    watts: Callable[[], float | None]


def energy_of(call: Callable[[int], object], gpu: bool, seconds: float = LOOP_S) -> Power | None:
    """Joules per call of the whole package or board; None if nothing can be read.

    Args:
        call: Called with 0, 1, 2 and so on for some seconds.
        gpu: Whether the graph runs on a GPU.
        seconds: Duration of the loop.
    """
    counters = [] if gpu else rapl(SYS)
    sensor = None if counters else find_sensor(SYS, gpu)
    if counters:
        before = [counter.read_uj() for counter in counters]
        count = len(timed_for(call, seconds))
        after = [counter.read_uj() for counter in counters]
        joules = sum(map(counted_joules, before, after, [counter.range_uj for counter in counters]))
        return {"joules_per_inference": joules / count, "source": "RAPL " + ", ".join(each.name for each in counters)}
    if sensor:
        (count, elapsed_s), watts = sampled(lambda: _loop(call, seconds), sensor.watts)
        return {"joules_per_inference": fmean(watts) * elapsed_s / count, "source": sensor.name} if watts else None
    return None


def rapl(sys: Path) -> list[Counter]:
    """Energy counters of the processor packages.

    Empty if there are none, or if reading them needs special rights.
    """
    counters = []
    for zone in sorted(sys.glob("class/powercap/intel-rapl:[0-9]")):
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            if not name.startswith("package"):  # psys, where there is one, counts the packages a second time
                continue
            counter = Counter(name, zone / "energy_uj", int((zone / "max_energy_range_uj").read_text(encoding="ascii")))
            counter.read_uj()
        except (OSError, ValueError):
            return []
        counters.append(counter)
    return counters


def counted_joules(before_uj: int, after_uj: int, range_uj: int) -> float:
    """Joules between two readings of a counter that may have wrapped around once."""
    return ((after_uj - before_uj) % (range_uj + 1)) / 1e6


def find_sensor(sys: Path, gpu: bool) -> Sensor | None:
    """Find a sensor: the GPU's for a graph on a GPU, else a board's INA chip, else tegrastats."""
    if gpu:
        return Sensor("nvidia-smi power.draw", nvidia.power_w) if nvidia.power_w() is not None else None
    for chip in sorted(sys.glob("class/hwmon/hwmon[0-9]*")):
        if ina_watts(chip) is not None:
            return Sensor(f"hwmon {chip.name}", partial(ina_watts, chip))
    return Sensor("tegrastats", jetson.power_w) if jetson.power_w() is not None else None


def ina_watts(chip: Path) -> float | None:
    """Watts of a Texas Instruments INA chip in hwmon: its power in microwatts, or millivolts times milliamperes."""
    try:
        if not (chip / "name").read_text(encoding="ascii").startswith("ina"):
            return None
        if (chip / "power1_input").exists():
            return int((chip / "power1_input").read_text(encoding="ascii")) / 1e6
        volts, amperes = ((chip / name).read_text(encoding="ascii") for name in ("in1_input", "curr1_input"))
        return int(volts) * int(amperes) / 1e6
    except (OSError, ValueError):
        return None


def sampled(
    work: Callable[[], tuple[int, float]], watts: Callable[[], float | None], interval_s: float = INTERVAL_S
) -> tuple[tuple[int, float], list[float]]:
    """Do some work while a thread reads the watts; return the work's result and the readings."""
    readings: list[float] = []
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            value = watts()
            if value is not None:
                readings.append(value)
            over.wait(interval_s)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        done = work()
    finally:
        over.set()
        reader.join()
    return done, readings


def _loop(call: Callable[[int], object], seconds: float) -> tuple[int, float]:
    begin = time.perf_counter()
    count = len(timed_for(call, seconds))
    return count, time.perf_counter() - begin
