"""Signals that end a command."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM and SIGHUP (not on Windows) like Ctrl-C, so that child processes end and finished work is kept."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    known = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
    ending = [number for number in known if number is not None and signal.getsignal(number) is signal.SIG_DFL]
    before = {number: signal.signal(number, interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
