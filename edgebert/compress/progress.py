"""Progress on stderr: what, how far, time left. Without a terminal, a line now and then."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


class _Lines:
    """A stream for a bar, on which every state of the bar is a line of its own."""

    def write(self, text: str) -> None:
        if shown := text.strip("\r\n "):
            sys.stderr.write(f"{shown}\n")

    def flush(self) -> None:
        sys.stderr.flush()


def progress(items: Any = None, **settings: Any) -> Any:  # noqa: ANN401
    """A tqdm bar over `items`, or one that the caller moves, with tqdm's own settings."""
    if sys.stderr.isatty():
        return tqdm(items, mininterval=0.2, dynamic_ncols=True, **settings)
    return tqdm(items, mininterval=15.0, maxinterval=15.0, file=_Lines(), ncols=100, **settings)


def end_bars() -> None:
    """End the line of every bar that an error interrupted, so the next message begins on a new line."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()
