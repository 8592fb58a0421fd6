"""Bundles of stages beside a bundle: none of an earlier export stays."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from edgebert import bundle
from edgebert.compress import distributed


def remove_bundles(root: Path, keep: Collection[str]) -> None:
    """Remove an earlier export's stage bundles, which would be measured as if they were this one's.

    A run that is killed in between leaves hidden folders, which the next run removes; never a part of a bundle.
    """
    if distributed.is_main():
        _remove_hidden(root)  # else one of a killed run would stand where a bundle is moved
        for manifest in root.glob(f"[0-9]-*/{bundle.MANIFEST}"):
            if manifest.parent.name not in keep and bundle.is_ours(manifest.parent):
                manifest.parent.rename(root / f".{manifest.parent.name}.old")
        _remove_hidden(root)
    distributed.wait()


def _remove_hidden(root: Path) -> None:
    """Remove stage bundles that are half written or half removed."""
    for left in (*root.glob(".[0-9]-*.old"), *root.glob(".[0-9]-*.partial")):
        left.unlink() if left.is_symlink() or not left.is_dir() else shutil.rmtree(left)
