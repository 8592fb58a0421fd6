"""Check the folders that an export writes to: they must not contain its inputs or other files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from edgebert.bundle import check_name, check_outside
from edgebert.errors import DataError, DiskError, SettingsError
from edgebert.lock import ENDING
from edgebert.stage_names import FULL_PRECISION

STAGE = re.compile(r"[a-z0-9-]+-[0-9a-f]{16}(?:\.partial)?")
# Longest suffix of a name beside a bundle: the lock of the default --work; other names are shorter.
LONGEST = f".work{ENDING}"
FINISHED = re.compile(r"finished-[0-9a-f]{16}\.json")
# Sentences to check a model on, if the user gives none. Users' files do not have this name.
TEXTS = "edgebert-texts.jsonl"
# Folder in a stage's folder with the checkpoints from which training continues after a kill.
CHECKPOINTS = "checkpoints"
# Prefixes of the folders in it: a complete checkpoint, and one that is being written.
TRAINED = ("checkpoint-", "unfinished")


def check_places(out: Path, work: Path, source: str, data_dir: Path | None, files: Iterable[Path] = ()) -> None:
    """Refuse folders that an export would damage, or that would make it fail after hours of work.

    Args:
        out: The bundle's folder.
        work: The folder of finished stages.
        source: The checkpoint: a folder, or the name of an installed package or hub model.
        data_dir: Folder that the recipe's data paths are relative to; None if the export writes its texts itself.
        files: Other input files: the data and the recipe.

    Raises:
        SettingsError: `out` or `work` is the root, or is or contains one of the others.
        DiskError: `out` or `work` is inside a bundle, has a name too long for temporary names beside it, or is a broken
            link; or something in `work` has a name that the export needs.
    """
    read_files = [file for file in files if os.path.lexists(file)]
    for option, folder in (("--out", out), ("--work", work)):
        resolved = folder.resolve()
        if resolved == resolved.parent:
            raise SettingsError(f"{option} is {folder}, the root of all folders; give a folder in it")
        check_name(folder, LONGEST, option)
        if folder.is_symlink() and not folder.exists():
            raise DiskError(f"{folder}: a broken link; remove it, or give another {option}")
        check_outside(folder, option, is_replaced=option == "--out")
        for what, read in (("checkpoint", source), ("data", str(data_dir) if data_dir else "")):
            if os.path.isdir(read) and Path(read).resolve().is_relative_to(resolved):
                raise SettingsError(f"{option} {folder} is or contains the {what} folder {read}; give another {option}")
        for file in read_files:
            if resolved in (*file.resolve().parents, *file.absolute().parents):
                raise SettingsError(f"{option} {folder} contains {file}, which the export reads; give another {option}")
    with suppress(OSError), os.scandir(work) as entries:
        for entry in entries:
            _check_entry(entry)


def check_data_files(folder: Path, names: Iterable[str]) -> None:
    """Refuse a missing data folder or file before seconds are spent on importing PyTorch.

    Raises:
        DataError: Names it.
    """
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: no such data folder; give --data-dir")
    for name in names:
        if not os.path.exists(folder / name):
            raise DataError(f"{folder / name}: no such file; check the path and the folder it is relative to")


def check_checkpoints(stage: Path) -> None:
    """Refuse links and files where a stage's checkpoints go: they would be overwritten or removed.

    Args:
        stage: The stage's folder.

    Raises:
        DiskError: Names the link or file.
    """
    folder = stage / CHECKPOINTS
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise _in_the_place(folder)
    for path in folder.iterdir():
        if path.is_symlink() or (path.name.startswith(TRAINED) and not path.is_dir()):
            raise _in_the_place(path)


def _check_entry(entry: os.DirEntry[str]) -> None:
    """Refuse something else that has the name of a stage's folder or of a file that an export writes."""
    is_stage = STAGE.fullmatch(entry.name) is not None
    is_file = entry.name == TEXTS or FINISHED.fullmatch(entry.name) is not None
    wrong = is_file and not entry.is_file(follow_symlinks=False)
    if is_stage or entry.name == FULL_PRECISION:
        wrong = not entry.is_dir(follow_symlinks=False)
    if wrong:
        raise _in_the_place(Path(entry.path))
    if is_stage:
        check_checkpoints(Path(entry.path))


def _in_the_place(path: Path) -> DiskError:
    kinds = {"a link": path.is_symlink(), "a folder": path.is_dir(), "a file": path.is_file()}
    kind = next((kind for kind, holds in kinds.items() if holds), "a device, pipe or socket")
    return DiskError(f"{path}: {kind} with a name that finished work needs; move it away or give another --work")
