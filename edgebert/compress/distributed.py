"""Processes that train together, as torchrun and `accelerate launch` start them."""

from __future__ import annotations

import os


def is_main() -> bool:
    """Whether this is the process that does what only one may do."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """Processes that train together (1 unless started by torchrun or accelerate)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait() -> None:
    """Wait until every process has come here."""
    if world_size() > 1:
        from accelerate import PartialState
        from torch import cuda

        PartialState(**({} if cuda.is_available() else {"cpu": True, "backend": "gloo"})).wait_for_everyone()
