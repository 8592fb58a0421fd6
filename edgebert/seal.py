"""List a folder's files with size and SHA-256 in the folder, so that a later run can check that it is complete."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from edgebert.bundle import file_sha256
from edgebert.errors import SettingsError
from edgebert.manifest import leads_out, path_fault
from edgebert.settings import fill
from edgebert.strict_json import read_json

SEAL = "files.json"


@dataclass(frozen=True)
class SealedFile:
    """Size and hash of a file of a sealed folder."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Seal:
    """The files of a sealed folder by their paths below it."""

    files: dict[str, SealedFile]


def seal(folder: Path, leave_out: Collection[str] = ()) -> None:
    """Write the size and SHA-256 of every file into `files.json`, after all files have reached the disk.

    Args:
        folder: The folder to seal.
        leave_out: Names directly below the folder that are not part of it.
    """
    listed = {}
    for name, path in _files(folder, leave_out):
        _sync(path)
        listed[name] = asdict(SealedFile(path.stat().st_size, file_sha256(path)))
    (folder / SEAL).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
    _sync(folder / SEAL)
    _sync(folder)


def damage(folder: Path, leave_out: Collection[str] = ()) -> str | None:
    """Describe the first file that differs from the seal; None if the folder is complete.

    Args:
        folder: A folder that `seal` may have finished.
        leave_out: Names that the seal left out.
    """
    try:
        listed = fill(Seal, {"files": read_json(folder / SEAL)}, SEAL).files
        for name, entry in listed.items():
            path = folder / name
            if path_fault(name) or leads_out(path, folder):
                return f"{SEAL} names {name[:80]!r}, which is not below the folder"
            if not path.is_file():
                return f"{name} is missing"
            if (size := path.stat().st_size) != entry.bytes:
                return f"{name} has {size} bytes, expected {entry.bytes}"
            if file_sha256(path) != entry.sha256:
                return f"{name} has a different SHA-256"
    except FileNotFoundError:
        return f"{SEAL} is missing"
    except (OSError, ValueError, SettingsError):
        return f"{SEAL} is damaged"
    added = {name for name, _ in _files(folder, leave_out)} - set(listed)
    return f"{min(added)} was added" if added else None


def _files(folder: Path, leave_out: Collection[str]) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in leave_out and name.as_posix() != SEAL:
            yield name.as_posix(), path


def _sync(path: Path) -> None:
    """Force a file or folder to the disk; some systems cannot do it for folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
