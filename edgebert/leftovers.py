"""Find unfinished and replaced bundles, check that EdgeBERT wrote them, and remove them.

`.NAME.partial` is a bundle that is not whole yet, `.NAME.old` one that has been replaced. Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edgebert.errors import DiskError
from edgebert.manifest import FORMAT, MANIFEST, MAX_BYTES
from edgebert.stage_names import STAGES
from edgebert.strict_json import read_json

# File in an unfinished folder until it has a manifest; no bundle contains it.
MARKER = ".edgebert-unfinished"


def is_ours(folder: Path) -> bool:
    """Whether a folder is a bundle of any version, complete or not, according to its own manifest."""
    try:
        manifest = read_json(folder / MANIFEST, MAX_BYTES)
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and manifest.get("format") == FORMAT


def unfinished(place: Path) -> Path:
    """Location where a bundle is written until it is complete."""
    return place.with_name(f".{place.name}.partial")


def replaced(place: Path) -> Path:
    """Location to which a bundle is moved while another replaces it."""
    return place.with_name(f".{place.name}.old")


def stage_leftovers(root: Path) -> Iterator[Path]:
    """List what killed runs left in a folder of stage bundles, and everything else with such a name."""
    places = (make(root / name) for name in STAGES for make in (replaced, unfinished))
    yield from (place for place in places if os.path.lexists(place))


def check_leftover(place: Path) -> None:
    """Refuse something that has the name of a leftover and is not one, since it would have to be removed.

    Raises:
        DiskError: It is a link, a file, or a non-empty folder that is neither a bundle nor marked as EdgeBERT's.
    """
    if not os.path.lexists(place) or _is_removable(place):
        return
    kind = "a link" if place.is_symlink() else "a folder that EdgeBERT did not write" if place.is_dir() else "a file"
    raise DiskError(f"{place}: {kind}, where an export keeps unfinished work; move it away or give another --out")


def remove_leftover(place: Path) -> None:
    """Remove what a killed run left at this location, if anything.

    Raises:
        DiskError: See `check_leftover`.
    """
    check_leftover(place)
    if place.is_dir():
        remove_folder(place)


def remove_folder(folder: Path) -> None:
    """Remove a folder of EdgeBERT's. The file that marks it goes last, in case the run is killed meanwhile."""
    for path in [path for path in folder.iterdir() if path.name not in (MANIFEST, MARKER)]:
        import shutil

        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name in (MANIFEST, MARKER):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()


def _is_removable(place: Path) -> bool:
    if place.is_symlink() or not place.is_dir():
        return False
    try:
        return os.path.lexists(place / MARKER) or is_ours(place) or not any(place.iterdir())
    except OSError:
        return False
