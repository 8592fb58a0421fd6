"""A machine on which measured processes run, as `bench` sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgebert.measure.environment import environment
from edgebert.measure.job import Child, Environment
from edgebert.measure.process import run_child

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """Runs one job in a fresh process there, reads its environment, and names its emulator, if any.

    Times on an emulated machine are meaningless and never reported.
    """

    name: str = "local"
    child: Child = run_child
    environment: Callable[[], Environment] = environment
    emulated: str = ""
