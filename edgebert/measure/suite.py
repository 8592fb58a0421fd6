"""A suite: what to measure and how often, read from TOML into a frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from edgebert.runtimes import RuntimeName
from edgebert.settings import fill, read_toml, within

Scenario = Literal["single_stream", "offline", "server", "cold_start", "memory", "soak"]

MAX_BATCH_TOKENS = 1 << 20


@dataclass(frozen=True)
class Server:
    """The server scenario: the highest arrival rate at which a percentile of the latencies stays under a bound.

    Attributes:
        bound_ms: Maximum milliseconds from a text's arrival to its answer.
        percent: The percentile that must stay under the bound.
        queries: Number of texts that arrive at each rate.
        tolerance: The search ends when the rate is known within this share of the worker's maximum rate.
    """

    bound_ms: float = within(50.0, 0.001, 3_600_000)
    percent: float = within(99.0, 50.0, 100.0)
    queries: int = within(300, 10, 100_000)
    tolerance: float = within(0.02, 0.001, 0.5)


@dataclass(frozen=True)
class Suite:
    """What to measure of every bundle; the defaults are the standard suite.

    `single_stream` runs at every length; other scenarios at natural lengths, or at the fixed ones if there is no text.
    """

    name: str = "standard"
    scenarios: tuple[Scenario, ...] = ("single_stream", "offline")
    runtimes: tuple[Literal["default", RuntimeName], ...] = ("default",)
    threads: int = within(1, 1, 1024)
    rounds: int = within(5, 2, 1000)
    warmup: int = within(30, 0, 1_000_000)
    samples: int = within(300, 10, 1_000_000)
    lengths: tuple[int, ...] = within((), 3, 512)
    batch_size: int = within(32, 1, 4096)
    cold_starts: int = within(10, 2, 1000)
    soak_minutes: float = within(10.0, 0.001, 55.0)
    server: Server = field(default_factory=Server)
    seed: int = within(7, 0, 2**31)

    def __post_init__(self) -> None:
        """Refuse a suite that measures nothing, lists something twice, or has batches that fit no memory."""
        if not self.scenarios or not self.runtimes:
            raise ValueError("scenarios or runtimes is empty; name at least one of each")
        for key in ("scenarios", "runtimes", "lengths"):
            values = getattr(self, key)
            if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
                raise ValueError(f"{key} names {twice[0]!r} more than once; name it once")
        tokens = self.batch_size * max(self.lengths, default=0)
        if "offline" in self.scenarios and tokens > MAX_BATCH_TOKENS:
            raise ValueError(
                f"batch_size {self.batch_size} x length {max(self.lengths)} is {tokens} tokens in a batch; "
                f"expected at most {MAX_BATCH_TOKENS}, give a smaller batch_size or length"
            )


def read_suite(path: Path | None) -> Suite:
    """Read a suite file, or return the standard suite.

    Raises:
        SettingsError: An unknown key or scenario, a wrong type or an impossible value.
    """
    return Suite() if path is None else fill(Suite, read_toml(path), str(path))
