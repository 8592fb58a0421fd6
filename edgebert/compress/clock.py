"""How long each training of an export may go on. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

# Part of a stage's time that is left for its last evaluation and for saving.
SPARE = 0.05


@dataclass(frozen=True)
class Clock:
    """The time limit of all trainings, divided among them by the time that each is expected to take.

    Attributes:
        end: When the last training must be over (`time.monotonic`); None for no limit.
        expected: Seconds that each stage is expected to take, in their order.
    """

    end: float | None = None
    expected: Mapping[str, float] = field(default_factory=dict)

    def until(self, stage: str) -> float | None:
        """When a stage that starts now must stop, by its share of the time that is left; None for no limit."""
        if self.end is None or stage not in self.expected:
            return None
        names = list(self.expected)
        later = sum(self.expected[name] for name in names[names.index(stage) :])
        now = time.monotonic()
        return now + (1 - SPARE) * max(0.0, self.end - now) * self.expected[stage] / later
