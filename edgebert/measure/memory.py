"""Peak memory of this process, as the kernel accounts for it."""

from __future__ import annotations

from pathlib import Path


def peak_rss_bytes() -> int:
    """High-water mark of the resident set (VmHWM) since the process started; 0 where the kernel does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
