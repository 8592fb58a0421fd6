"""A suite: what to measure and how often. TOML in, frozen dataclass out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebert.settings import fill, read_toml, within


@dataclass(frozen=True)
class Suite:
    """What every bundle is put through; the defaults are the standard suite."""

    name: str = "standard"
    scenarios: tuple[Literal["single_stream", "offline"], ...] = ("single_stream", "offline")
    runtimes: tuple[Literal["default", "onnxruntime", "openvino"], ...] = ("default",)
    threads: int = within(1, 1)
    rounds: int = within(5, 2)
    warmup: int = within(30, 0)
    samples: int = within(300, 10)
    lengths: tuple[int, ...] = within((), 3, 512)
    batch_size: int = within(32, 1)
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
