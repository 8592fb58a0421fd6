"""A bound on how many threads do something at a time."""

from __future__ import annotations

from queue import SimpleQueue
from types import TracebackType


class Turns:
    """Let so many threads in at a time; the others wait. Use it as a context manager.

    Like `threading.Semaphore`, but a queue of tokens in C: a thread that waits for Python's lock while it holds the
    semaphore's own makes all others wait too.
    """

    def __init__(self, count: int) -> None:
        """Have `count` turns."""
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
