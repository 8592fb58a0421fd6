"""A suite: what to measure and how often. TOML in, frozen dataclass out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgebert.settings import fill, read_toml, within

Scenario = Literal["single_stream", "offline", "server", "cold_start", "memory", "soak"]


@dataclass(frozen=True)
class Server:
    """The server scenario: the highest arrival rate at which a percentile of the latencies stays under a bound.

    Attributes:
        bound_ms: Most milliseconds from a text's arrival to its answer.
        percent: The percentile that must stay under the bound.
        queries: Texts that arrive at every rate tried.
        tolerance: The search ends when the rate is known to this share of what the worker does without a pause.
    """

    bound_ms: float = within(50.0, 0.001)
    percent: float = within(99.0, 50.0, 100.0)
    queries: int = within(300, 10)
    tolerance: float = within(0.02, 0.001, 0.5)


@dataclass(frozen=True)
class Suite:
    """What every bundle is put through; the defaults are the standard suite.

    `single_stream` is run at every length; the other scenarios at natural lengths, or at the fixed ones where there
    is no text.
    """

    name: str = "standard"
    scenarios: tuple[Scenario, ...] = ("single_stream", "offline")
    runtimes: tuple[Literal["default", "onnxruntime", "openvino"], ...] = ("default",)
    threads: int = within(1, 1)
    rounds: int = within(5, 2)
    warmup: int = within(30, 0)
    samples: int = within(300, 10)
    lengths: tuple[int, ...] = within((), 3, 512)
    batch_size: int = within(32, 1)
    cold_starts: int = within(10, 2)
    soak_minutes: float = within(10.0, 0.001, 55.0)
    server: Server = field(default_factory=Server)
    seed: int = within(7, 0)

    def __post_init__(self) -> None:
        """Refuse a suite that measures nothing."""
        if not self.scenarios or not self.runtimes:
            raise ValueError("scenarios or runtimes is empty; name at least one of each")


def read_suite(path: Path | None) -> Suite:
    """Read a suite file, or take the standard suite.

    Raises:
        SettingsError: An unknown key or scenario, a wrong type or an impossible value.
    """
    return Suite() if path is None else fill(Suite, read_toml(path), str(path))
