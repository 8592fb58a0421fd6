"""Limit how many threads do something at the same time."""

from __future__ import annotations

from queue import SimpleQueue
from types import TracebackType


class Turns:
    """Let a limited number of threads in at a time; others wait. Use it as a context manager.

    Like `threading.Semaphore`, but with a queue written in C. A semaphore has a lock of its own: a thread that holds it
    while it waits for Python's lock makes all others wait too.
    """

    def __init__(self, count: int) -> None:
        """Allow `count` threads at a time."""
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(count):
            self._free.put(None)

    def __enter__(self) -> None:
        """Wait for a turn and take it."""
        self._free.get()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the turn back."""
        self._free.put(None)
