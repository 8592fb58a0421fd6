"""How far a long call is, and how long it still takes, on stderr. Standard library only."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

# Reports finished texts: how many more, for long texts perhaps a fraction.
Advance = Callable[[float], None]
# Seconds between two lines: on a terminal, which redraws one line, and elsewhere.
ON_TERMINAL, ELSEWHERE = 0.2, 15.0


class Progress:
    """One line that changes on a terminal; elsewhere a line now and then, and the last one."""

    def __init__(self, total: int | None, quiet_s: float = 0.0, name: str = "") -> None:
        """Begin at none of `total` texts (None: not known).

        With `quiet_s`, nothing is written before so many seconds have passed; off a terminal, not before the first
        line is due.
        """
        self._total, self._done, self._name = total, 0.0, f"{name}: " * bool(name)
        self._stream = sys.stderr
        self._on_terminal = self._stream is not None and self._stream.isatty()
        self._every = ON_TERMINAL if self._on_terminal else ELSEWHERE
        self._begun = time.monotonic()
        quiet_s = max(quiet_s, 0.0 if self._on_terminal else ELSEWHERE) if quiet_s else 0.0
        self._next = self._begun + (quiet_s or (0.0 if self._on_terminal else ELSEWHERE))
        self._last_from = self._begun + quiet_s
        self.advance(0.0)

    def advance(self, texts: float) -> None:
        """Count texts as done."""
        self._done += texts
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._every
            self._write(self._line(now))

    def end(self) -> None:
        """Write the last line, and end it."""
        now = time.monotonic()
        if now >= self._last_from:
            self._write(self._line(now, over=True) + ("\n" if self._on_terminal else ""))

    def _line(self, now: float, over: bool = False) -> str:
        """`[450/1000] 120 texts a second; 5 s left`."""
        done, seconds = round(self._done), max(now - self._begun, 1e-9)
        counted = self._name + (f"[{done}]" if self._total is None else f"[{done}/{self._total}]")
        if not done:
            return f"{counted} texts"
        rate = done / seconds
        line = f"{counted} {f'{rate:.0f}' if rate >= 10 else f'{rate:.1f}'} texts a second"
        if over:
            return f"{line}; {shown_time(seconds)}"
        return line if self._total is None else f"{line}; {shown_time((self._total - done) / rate)} left"

    def _write(self, line: str) -> None:
        if self._stream is None:
            return
        text = "\r\x1b[K" + line[: shutil.get_terminal_size().columns] if self._on_terminal else line + "\n"
        with suppress(OSError, ValueError):  # the answers do not depend on whether anybody can watch
            self._stream.write(text)
            self._stream.flush()


@contextmanager
def shown(shows: bool, total: int | None = None, quiet_s: float = 0.0, name: str = "") -> Iterator[Advance]:
    """Show the progress of a block that counts its texts by what it is given; or show nothing."""
    if not shows:
        yield lambda texts: None
        return
    progress = Progress(total, quiet_s, name)
    try:
        yield progress.advance
    finally:
        progress.end()


def shown_time(seconds: float) -> str:
    """Seconds below a minute and a half, minutes below an hour and a half, hours above."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
