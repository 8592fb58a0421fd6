"""Coordinate processes that train together, as torchrun and `accelerate launch` start them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def is_main() -> bool:
    """Whether this is the main process, which writes files."""
    return os.environ.get("RANK", "0") == "0"


def world_size() -> int:
    """Number of processes that train together (1 unless started by torchrun or accelerate)."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def wait() -> None:
    """Wait until every process has reached this call."""
    if world_size() > 1:
        from accelerate import PartialState
        from torch import cuda

        PartialState(**({} if cuda.is_available() else {"cpu": True, "backend": "gloo"})).wait_for_everyone()


def from_main(compute: Callable[[], Value]) -> Value:
    """Compute a value in the main process only, and return it in every process."""
    if world_size() == 1:
        return compute()
    from accelerate.utils import broadcast_object_list

    wait()
    box: list[Value | None] = [compute() if is_main() else None]
    broadcast_object_list(box)
    value: Value = box[0]  # type: ignore[assignment]
    return value
