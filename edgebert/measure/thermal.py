"""The machine's temperature, clock and throttling at this moment; None for what cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import cast

from edgebert.measure import jetson, nvidia, raspberry_pi
from edgebert.measure.job import Environment

STATE = (
    *("governor", "frequency_mhz", "temperature_c", "throttled", "throttle_events", "power_mode"),
    *("gpu_temperature_c", "load_average"),
)
SYS = Path("/sys")
CPUINFO = Path("/proc/cpuinfo")


def machine_state() -> Environment:
    """Governor, clock in MHz, temperature in Celsius, throttling reasons and count, power mode, load."""
    gpus = nvidia.gpus() or []
    return {
        "governor": governor(SYS),
        "frequency_mhz": frequency_mhz(SYS) or raspberry_pi.frequency_mhz() or cpuinfo_mhz(_read(CPUINFO)),
        "temperature_c": hottest([raspberry_pi.temperature_c(), *zones_c(SYS), jetson.temperature_c()]),
        "throttled": together([raspberry_pi.throttled(), *(gpu["throttled"] for gpu in gpus)]),
        "throttle_events": throttle_events(SYS),
        "power_mode": jetson.power_mode(),
        "gpu_temperature_c": hottest(gpu["temperature_c"] for gpu in gpus),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
    }


def state_of(environment: Environment) -> Environment:
    """The part of a whole environment that `machine_state` reads."""
    return cast("Environment", {key: environment.get(key) for key in STATE})


def governor(sys: Path) -> str | None:
    """The frequency governor of the first core."""
    return _read(sys / "devices/system/cpu/cpu0/cpufreq/scaling_governor")


def frequency_mhz(sys: Path) -> float | None:
    """Mean clock of the cores, as set by the kernel."""
    cells = [_read(path) for path in sys.glob("devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq")]
    clocks = [int(cell) / 1000 for cell in cells if cell and cell.isdigit()]
    return round(sum(clocks) / len(clocks), 1) if clocks else None


def cpuinfo_mhz(text: str | None) -> float | None:
    """Mean clock of the cores in /proc/cpuinfo."""
    rows = [line.split(":") for line in (text or "").splitlines() if line.startswith("cpu MHz")]
    return round(sum(float(row[1]) for row in rows) / len(rows), 1) if rows else None


def zones_c(sys: Path) -> list[float]:
    """Temperatures of all readable zones."""
    cells = [_read(path) for path in sorted(sys.glob("class/thermal/thermal_zone*/temp"))]
    return [int(cell) / 1000 for cell in cells if cell and cell.lstrip("-").isdigit()]


def throttle_events(sys: Path) -> int | None:
    """Number of times since boot that the cores were slowed because of heat (x86)."""
    cells = [_read(path) for path in sys.glob("devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")]
    counts = [int(cell) for cell in cells if cell and cell.isdigit()]
    return sum(counts) if counts else None


def hottest(values: Iterable[float | None]) -> float | None:
    """The largest known value."""
    return max((value for value in values if value is not None), default=None)


def together(lists: Iterable[list[str] | None]) -> list[str] | None:
    """All entries of several lists; None if all are unknown."""
    known = [each for each in lists if each is not None]
    return sorted({words for each in known for words in each}) if known else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
