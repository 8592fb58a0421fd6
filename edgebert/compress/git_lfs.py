"""Detect files that Git has cloned but Git LFS has not fetched. Needs no torch."""

from __future__ import annotations

from pathlib import Path

from edgebert.errors import CheckpointError

# First line of every pointer (specification of Git LFS).
POINTER = b"version https://git-lfs.github.com/spec/"


def check_fetched(path: Path) -> None:
    """Refuse a Git LFS pointer in place of the file itself.

    Raises:
        CheckpointError: Names the file and the command that fetches it.
    """
    try:
        with path.open("rb") as opened:
            start = opened.read(len(POINTER))
    except OSError:  # its own reader says why
        return
    if start == POINTER:
        raise CheckpointError(f"{path}: a Git LFS pointer, not the file itself; run `git lfs pull` in its folder")
