"""Until when each training of an export may go on. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

# Of a stage's time, what is left for its last evaluation and for saving.
SPARE = 0.05


@dataclass
class Clock:
    """The time that is left for training stages, shared out by what they are expected to take.

    Attributes:
        end: When the last training must be over (`time.monotonic`); None for no limit.
        expected: Seconds that each stage is expected to take, in their order.
        until: When the training that runs must stop; None for no limit.
    """

    end: float | None = None
    expected: Mapping[str, float] = field(default_factory=dict)
    until: float | None = None

    def start(self, stage: str) -> None:
        """Give a stage its share of the time that is left."""
        if self.end is None or stage not in self.expected:
            self.until = None
            return
        names = list(self.expected)
        later = sum(self.expected[name] for name in names[names.index(stage) :])
        now = time.monotonic()
        self.until = now + (1 - SPARE) * max(0.0, self.end - now) * self.expected[stage] / later
