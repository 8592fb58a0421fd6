"""Progress on stderr: what, how far, time left. Without a terminal, a line now and then."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress(items: Any = None, **settings: Any) -> Any:  # noqa: ANN401
    """A tqdm bar over `items`, or one that the caller moves, with tqdm's own settings."""
    return tqdm(items, mininterval=0.2 if sys.stderr.isatty() else 15.0, dynamic_ncols=True, **settings)


def end_bars() -> None:
    """End the line of every bar that an error interrupted, so the next message begins on a new line."""
    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()
