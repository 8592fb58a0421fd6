"""Show what runs now, how far the bench is, and the remaining time: on stderr, or logged."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TextIO

from edgebert.escape import escaped
from edgebert.runtime.progress import shown_time

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One measured process of a bench; `left_s` is None until something is known about it."""

    number: int
    total: int
    what: str
    left_s: float | None = None

    @property
    def line(self) -> str:
        """`[3/24] fp32: single_stream, natural lengths; 1 min left`."""
        left = "" if self.left_s is None else f"; {shown_time(self.left_s)} left"
        return f"[{self.number}/{self.total}] {self.what}{left}"


class TimeLeft:
    """Estimates the remaining time of a bench from the finished processes."""

    def __init__(self, planned: Sequence[tuple[str, float]]) -> None:
        """Take the plan: the kind of every process, and its minimum time in seconds."""
        self._planned = list(planned)
        self._seen: dict[str, list[float]] = {}
        self._done = 0

    def took(self, seconds: float) -> None:
        """Record the time of the next process."""
        self._seen.setdefault(self._planned[self._done][0], []).append(seconds)
        self._done += 1

    def seconds(self) -> float | None:
        """Remaining seconds: each process takes the mean of its kind, or of all if its kind has not run yet."""
        if not self._seen:
            return None
        overall = fmean(seconds for several in self._seen.values() for seconds in several)
        means = {kind: fmean(several) for kind, several in self._seen.items()}
        return sum(max(least, means.get(kind, overall)) for kind, least in self._planned[self._done :])


class Logged:
    """Logs steps and messages, for callers from Python."""

    def __call__(self, step: Step) -> None:
        """Log a step that begins."""
        LOG.info(step.line)

    def say(self, line: str) -> None:
        """Log a message."""
        LOG.info(line)


class Terminal:
    """Shows steps: on a terminal in one line that changes, otherwise one line for the first process of every case."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to stderr, or to a stream."""
        self._stream = stream or sys.stderr
        self._seen: set[str] = set()

    def __call__(self, step: Step) -> None:
        """Show a step that begins."""
        if self._stream.isatty():
            self._stream.write("\r\x1b[K" + escaped(step.line)[: shutil.get_terminal_size().columns - 1])
        elif step.what not in self._seen:
            self._stream.write(escaped(step.line) + "\n")
        self._seen.add(step.what)
        self._stream.flush()

    def say(self, line: str) -> None:
        """Show a message."""
        self.clear()
        self._stream.write(escaped(line) + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Remove the line."""
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")
            self._stream.flush()
