"""What a stage says of itself: its arguments and what it reached. The manifest keeps every one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class StageReport:
    """Report of one stage; holds nothing that differs between two runs of the same work (no times, no paths).

    `ran` says with what it ran: tools and their versions; for training also precision, processes and device.
    """

    stage: str
    arguments: dict[str, Any]
    metrics: dict[str, Any] = field(default_factory=dict)
    ran: dict[str, Any] = field(default_factory=dict)
