"""Read `nvidia-smi` (its manual page; throttling reasons are NVML's nvmlClocksEventReasons)."""

from __future__ import annotations

import os
from typing import TypedDict

from edgebert.measure.tool import tool_text

COLUMNS = {
    "name": "name",
    "driver": "driver_version",
    "memory_mb": "memory.total",
    "temperature_c": "temperature.gpu",
    "frequency_mhz": "clocks.sm",
    "power_w": "power.draw",
    "reasons": "clocks_throttle_reasons.active",
}
MB_PER_MIB = 1.048576  # nvidia-smi counts memory in MiB, results in MB of 10^6 bytes
PLAIN = "--format=csv,noheader,nounits"
THROTTLED_BITS = {
    2: "power cap now",
    3: "hardware slowdown now",
    5: "software thermal slowdown now",
    6: "hardware thermal slowdown now",
    7: "hardware power brake now",
}


class Gpu(TypedDict):
    """A GPU and its state; None for values that it does not have."""

    name: str
    driver: str
    memory_mb: float | None
    temperature_c: float | None
    frequency_mhz: float | None
    power_w: float | None
    throttled: list[str] | None


def gpus() -> list[Gpu] | None:
    """All GPUs with their state, memory in MB of 10^6 bytes; None without a driver."""
    return parse_gpus(tool_text("nvidia-smi", f"--query-gpu={','.join(COLUMNS.values())}", PLAIN))


def device() -> str:
    """The GPU that processes use: the first of `$CUDA_VISIBLE_DEVICES`, or the first one."""
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0] or "0"


def power_w() -> float | None:
    """Watts of the GPU that processes use."""
    return parse_power(tool_text("nvidia-smi", "-i", device(), "--query-gpu=power.draw", PLAIN))


def megabytes(mib: float) -> float:
    """Convert nvidia-smi's MiB to MB of 10^6 bytes."""
    return round(mib * MB_PER_MIB, 1)


def parse_gpus(text: str | None) -> list[Gpu] | None:
    """Parse one GPU per line, in the order of `COLUMNS`; None for values that the GPU does not have."""
    rows = [[cell.strip() for cell in line.split(",")] for line in (text or "").splitlines()]
    found = [_gpu(dict(zip(COLUMNS, row, strict=True))) for row in rows if len(row) == len(COLUMNS)]
    return found or None


def parse_power(text: str | None) -> float | None:
    """Parse the watts of a single GPU; None if it does not report them."""
    return _number(text or "")


def _gpu(row: dict[str, str]) -> Gpu:
    mib = _number(row["memory_mb"])
    return {
        "name": row["name"],
        "driver": row["driver"],
        "memory_mb": None if mib is None else megabytes(mib),
        "temperature_c": _number(row["temperature_c"]),
        "frequency_mhz": _number(row["frequency_mhz"]),
        "power_w": _number(row["power_w"]),
        "throttled": _reasons(row["reasons"]),
    }


def _reasons(cell: str) -> list[str] | None:
    try:
        bits = int(cell, 16)
    except ValueError:
        return None
    return [words for bit, words in THROTTLED_BITS.items() if bits >> bit & 1]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
