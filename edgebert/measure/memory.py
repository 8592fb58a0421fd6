"""Memory of this process, as counted by the kernel."""

from __future__ import annotations

from pathlib import Path


def peak_rss_bytes() -> int | None:
    """Read the high-water mark of the resident set (VmHWM) since the process started; None without Linux's /proc."""
    return _status_bytes("VmHWM")


def rss_bytes() -> int | None:
    """Read the current resident set (VmRSS); None without Linux's /proc."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), None)
