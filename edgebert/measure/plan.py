"""The parts of a bench in order: one scenario at one length, each variant several times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant
from edgebert.runtimes import RUNTIMES


@dataclass(frozen=True)
class Part:
    """A scenario at natural lengths (0) or one fixed length; parts without cases feed the cases of others.

    Attributes:
        rounds: Number of fresh processes for every variant.
        arena: The runtime's memory arena, on or off; None leaves it as it is, on.
    """

    scenario: str
    length: int
    variants: Sequence[Variant]
    rounds: int = 1
    makes_cases: bool = True
    arena: bool | None = None

    @property
    def shown(self) -> str:
        """Describe lengths and arena in words."""
        lengths = f"{self.length} tokens" if self.length else "natural lengths"
        return lengths if self.arena is None else f"{lengths}, arena {'on' if self.arena else 'off'}"

    @property
    def lengths(self) -> str:
        """Lengths in the form of results."""
        return str(self.length) if self.length else "natural"


def plan(suite: Suite, variants: Sequence[Variant], lengths: Sequence[int], labelled: bool) -> list[Part]:
    """List all parts that a suite asks for.

    Args:
        suite: What to measure.
        variants: The variants, the baseline first.
        lengths: 0 for natural lengths, and fixed ones.
        labelled: Whether the texts have labels.
    """
    parts = [Part("quality", 0, variants, makes_cases=False)] if labelled else []
    main = lengths[:1] if lengths[0] == 0 else lengths
    if "single_stream" in suite.scenarios:
        for length in lengths:
            parts.append(Part("memory", length, variants, makes_cases=False))
            parts.append(Part("single_stream", length, variants, suite.rounds))
    for scenario in suite.scenarios:
        parts += [part for length in main for part in _parts(scenario, length, suite, variants)]
    return parts


def _parts(scenario: str, length: int, suite: Suite, variants: Sequence[Variant]) -> Iterator[Part]:
    """The parts of all scenarios except `single_stream` at one length."""
    match scenario:
        case "offline" | "server":
            yield Part(scenario, length, variants, suite.rounds)
        case "cold_start":
            yield Part(scenario, length, variants, suite.cold_starts)
        case "memory":
            with_arena = [variant for variant in variants if RUNTIMES[variant.runtime].has_arena]
            yield Part(scenario, length, variants, suite.rounds, arena=True)
            yield Part(scenario, length, with_arena, suite.rounds, arena=False)
        case "soak":
            yield Part(scenario, length, variants)
