"""A model in the chain of an export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebert.compress.report import StageReport


@dataclass(frozen=True)
class Step:
    """A model in the chain: the stage that made it, its folder, and the reports of all stages up to it."""

    name: str
    folder: Path
    reports: tuple[StageReport, ...]

    def validation(self, metric: str) -> float | None:
        """The model's metric on validation, if its stage measured it."""
        value = self.reports[-1].metrics.get(f"validation_{metric}") if self.reports else None
        return float(value) if isinstance(value, int | float) else None
