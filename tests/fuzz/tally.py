"""Counts of what was tried and what came of it, and how many examples a test tries."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

from edgebert.errors import EdgeBertError

LONG = os.environ.get("EDGEBERT_FUZZ") == "long"


class Tally:
    """Counts by what was tried and what came of it."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def add(self, tried: str, outcome: str, count: int = 1) -> None:
        self.counts[tried, outcome] += count

    def lines(self) -> list[str]:
        tried = sorted({name for name, _ in self.counts})
        return [
            f"{name}: {sum(self._of(name).values())} tried, "
            + ", ".join(f"{count} {outcome}" for outcome, count in sorted(self._of(name).items()))
            for name in tried
        ]

    def _of(self, name: str) -> dict[str, int]:
        return {outcome: count for (tried, outcome), count in self.counts.items() if tried == name}


TALLY = Tally()


def examples(brief: int, long: int) -> Callable[[Any], Any]:
    """Settings of a test: always the same few examples, or many new ones."""
    return settings(
        max_examples=long if LONG else brief,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def assert_line(error: EdgeBertError, begins: str = "") -> None:
    """An error's message is one line that says something (first of all this), and can be printed."""
    message = str(error)
    assert message.startswith(begins)
    assert message.strip()
    assert len(message.splitlines()) == 1, message
    message.encode()
