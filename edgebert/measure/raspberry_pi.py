"""Read `vcgencmd` on a Raspberry Pi (documentation of the Raspberry Pi OS, "vcgencmd")."""

from __future__ import annotations

import re

from edgebert.measure.tool import tool_text

THROTTLED_BITS = {
    0: "under-voltage now",
    1: "frequency capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "frequency capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}


def throttled() -> list[str] | None:
    """What throttles the processor now, or has since boot."""
    return parse_throttled(tool_text("vcgencmd", "get_throttled"))


def temperature_c() -> float | None:
    """Temperature of the chip."""
    return parse_temperature(tool_text("vcgencmd", "measure_temp"))


def frequency_mhz() -> float | None:
    """Clock of the processor."""
    return parse_clock(tool_text("vcgencmd", "measure_clock", "arm"))


def parse_throttled(text: str | None) -> list[str] | None:
    """Bits of `throttled=0x50005` in words; None for any other text."""
    found = re.match(r"throttled=0x([0-9a-fA-F]+)", text or "")
    if not found:
        return None
    bits = int(found[1], 16)
    return [words for bit, words in THROTTLED_BITS.items() if bits >> bit & 1]


def parse_temperature(text: str | None) -> float | None:
    """Degrees Celsius of `temp=48.3'C`."""
    found = re.match(r"temp=([0-9.]+)'C", text or "")
    return float(found[1]) if found else None


def parse_clock(text: str | None) -> float | None:
    """Megahertz of `frequency(48)=1500398464`."""
    found = re.match(r"frequency\(\d+\)=(\d+)", text or "")
    return int(found[1]) / 1e6 if found else None
