"""The report of a stage: its arguments and metrics. The manifest keeps every report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from edgebert.strict_json import Json

# The metric that lists what a training lacked.
ADVICE = "advice"


@dataclass(frozen=True)
class StageReport:
    """Report of one stage; holds nothing that differs between two runs of the same work (no times, no paths).

    `ran` holds tools and their versions; for training also precision, processes and device.
    """

    stage: str
    arguments: Mapping[str, Json]
    metrics: Mapping[str, Json] = field(default_factory=dict)
    ran: Mapping[str, Json] = field(default_factory=dict)

    @property
    def tools(self) -> dict[str, str]:
        """Versions of the packages that the stage used."""
        return {name: str(version) for name, version in _table(self.ran.get("tools")).items()}

    @property
    def inputs(self) -> list[str]:
        """Input names of the graph that the stage made."""
        inputs = self.arguments.get("inputs")
        return [str(name) for name in inputs] if isinstance(inputs, list | tuple) else []

    @property
    def head(self) -> dict[str, Json]:
        """Values that the task chose on the validation split, with this stage's graph."""
        return _table(self.metrics.get("head"))

    @property
    def advice(self) -> list[str]:
        """What the training lacked, one line each, with the setting to change."""
        return advice_of(self.metrics)

    def table(self, name: str) -> dict[str, Json]:
        """A metric that is a table; empty if missing."""
        return _table(self.metrics.get(name))


def advice_of(metrics: Mapping[str, Json]) -> list[str]:
    """What a stage's metrics show that its training lacked."""
    lines = metrics.get(ADVICE)
    return [str(line) for line in lines] if isinstance(lines, list | tuple) else []


def _table(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
