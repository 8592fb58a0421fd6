"""How an opened bundle was opened, so that another process or a copy can open it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

Provider = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class Origin:
    """The arguments that a bundle was opened with.

    Attributes:
        path: The bundle's folder, absolute.
        hash: The bundle's hash at that time.
        runtime: The requested runtime; None for the bundle's own choice.
        threads: The requested number of threads; None for the profile's.
        verify: Whether every file's hash was checked.
        arena: Whether ONNX Runtime keeps freed memory.
        provider: Execution provider that replaces the profile's, with its options.
    """

    path: Path
    hash: str
    runtime: str | None
    threads: int | None
    verify: bool
    arena: bool
    provider: Provider | None
