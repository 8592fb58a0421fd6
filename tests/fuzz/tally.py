"""Counts of attempts and their outcomes, and the number of examples of a test."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

from edgebert.errors import EdgeBertError

LONG = os.environ.get("EDGEBERT_FUZZ") == "long"


class Tally:
    """Counts by kind of attempt and outcome."""

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
    """Settings of a test: a few fixed examples, or many new ones."""
    return settings(
        max_examples=long if LONG else brief,
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def assert_line(error: EdgeBertError, begins: str = "") -> None:
    """Check that an error's message is one printable line that is not empty and starts with `begins`."""
    message = str(error)
    assert message.startswith(begins)
    assert message.strip()
    assert len(message.splitlines()) == 1, message
    message.encode()
