"""A machine that measured processes run on, as `bench` sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgebert.measure.environment import environment
from edgebert.measure.job import Child, Environment
from edgebert.measure.process import run_child

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """What runs one job in a fresh process there, how its environment is read, and what emulates it, if anything does.

    The time of an emulated machine means nothing, and is never reported.
    """

    name: str = "local"
    child: Child = run_child
    environment: Callable[[], Environment] = environment
    emulated: str = ""
