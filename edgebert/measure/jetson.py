"""Read `tegrastats` and `nvpmodel` on a Jetson (NVIDIA Jetson Linux Developer Guide, "tegrastats Utility")."""

from __future__ import annotations

import re

from edgebert.measure.tool import first_line, tool_text

# Power rails of the whole module, newest boards first.
WHOLE_MODULE = ("VDD_IN", "POM_5V_IN")


def power_mode() -> str | None:
    """Name of the board's current power mode."""
    return parse_power_mode(tool_text("nvpmodel", "-q"))


def temperature_c() -> float | None:
    """Temperature of the hottest sensor."""
    return parse_temperature(_line())


def power_w() -> float | None:
    """Watts of the whole module."""
    return parse_power(_line())


def parse_power_mode(text: str | None) -> str | None:
    """Parse `MAXN` from the line `NV Power Mode: MAXN`."""
    found = re.search(r"NV Power Mode:\s*(\S+)", text or "")
    return found[1] if found else None


def parse_temperature(line: str | None) -> float | None:
    """Highest of the entries like `cpu@47.5C`; sensors that are switched off show -256."""
    found = [float(value) for value in re.findall(r"\w@(-?[0-9.]+)C", line or "")]
    return max((value for value in found if value > -100), default=None)


def parse_power(line: str | None) -> float | None:
    """Watts from `VDD_IN 4952mW/4952mW` (the first value), or from older boards' `POM_5V_IN 2532/2532`."""
    for rail in WHOLE_MODULE:
        found = re.search(rf"\b{rail} (\d+)(?:mW)?/", line or "")
        if found:
            return int(found[1]) / 1000
    return None


def _line() -> str | None:
    return first_line("tegrastats", "--interval", "100")
