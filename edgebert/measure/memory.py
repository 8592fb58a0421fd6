"""Memory of this process, as the kernel accounts for it."""

from __future__ import annotations

from pathlib import Path


def peak_rss_bytes() -> int:
    """High-water mark of the resident set (VmHWM) since the process started; 0 where the kernel does not tell."""
    return _status_bytes("VmHWM")


def rss_bytes() -> int:
    """The resident set at this moment (VmRSS); 0 where the kernel does not tell."""
    return _status_bytes("VmRSS")


def _status_bytes(name: str) -> int:
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
