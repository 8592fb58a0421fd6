"""A machine that measured processes run on, as `bench` sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edgebert.measure.environment import environment
from edgebert.measure.process import run_child

Child = Callable[[dict[str, Any]], dict[str, Any]]
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """What runs one job in a fresh process there, how its environment is read, and what emulates it, if anything does.

    The time of an emulated machine means nothing, and is never reported.
    """

    name: str = "local"
    child: Child = run_child
    environment: Callable[[], dict[str, Any]] = environment
    emulated: str = ""
