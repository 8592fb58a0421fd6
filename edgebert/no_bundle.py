"""What a folder is that was given as a bundle, and is none."""

from __future__ import annotations

import os
from pathlib import Path

MANIFEST = "manifest.json"


def no_bundle(folder: Path) -> str:
    """Message for a folder without a manifest: what it is instead, and what to give.

    Example:
        >>> no_bundle(Path("build/nothing"))
        'build/nothing: no manifest.json; there is no such folder; give the folder that `edgebert export` wrote'
    """
    if folder.name == MANIFEST and os.path.isfile(folder):
        return f"{folder}: no {MANIFEST} in it, since it is a file; give the bundle's folder, {folder.parent}"
    if os.path.isfile(folder / "config.json"):
        return f"{folder}: no {MANIFEST}; it is a checkpoint, from which `edgebert export` makes a bundle"
    inside = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}")) if os.path.isdir(folder) else []
    if inside:
        return f"{folder}: no {MANIFEST}; give a folder inside it that is a bundle, such as {inside[0]}"
    fact = "it is a file; " if os.path.isfile(folder) else "" if os.path.exists(folder) else "there is no such folder; "
    return f"{folder}: no {MANIFEST}; {fact}give the folder that `edgebert export` wrote"
