"""How an opened bundle was opened, so that another process or a copy can open it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebert.bundle import bundle_hash
from edgebert.errors import BundleError

Provider = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class Origin:
    """The arguments that a bundle was opened with.

    Attributes:
        path: The bundle's folder, absolute.
        hash: The bundle's hash at that time.
        runtime: The runtime that was asked for; None for the bundle's own choice.
        threads: The number of threads that was asked for; None for the profile's.
        verify: Whether every file's hash was checked.
        arena: Whether ONNX Runtime keeps freed memory.
        provider: Execution provider in place of the profile's, with its options.
    """

    path: Path
    hash: str
    runtime: str | None
    threads: int | None
    verify: bool
    arena: bool
    provider: Provider | None


def reopen(origin: Origin) -> Any:  # noqa: ANN401
    """Open a bundle as it was opened before; pickle and `copy.deepcopy` call this.

    Raises:
        BundleError: The folder is missing or damaged, or another bundle has replaced the first one.
    """
    # load imports model, which imports this module.
    from edgebert.runtime.load import load_bundle

    model = load_bundle(
        origin.path, origin.runtime, origin.threads, origin.verify, arena=origin.arena, provider=origin.provider
    )
    if bundle_hash(origin.path) != origin.hash:
        raise BundleError(f"{origin.path}: another bundle since this model was opened; open it with edgebert.load")
    return model
