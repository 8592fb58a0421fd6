"""Write, check and replace bundles: a folder of files, and the manifest that describes them. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgebert.errors import BundleError, DiskError
from edgebert.leftovers import (
    MARKER,
    check_leftover,
    is_ours,
    remove_folder,
    remove_leftover,
    replaced,
    stage_leftovers,
    unfinished,
)
from edgebert.manifest import LEADS_OUT, MANIFEST, FileEntry, Manifest, leads_out, read_document, read_manifest, sealed
from edgebert.stage_names import STAGES
from edgebert.strict_json import Json, open_regular
from edgebert.whole_file import new_file_beside

__all__ = ["MANIFEST", "is_ours", "read_document", "read_manifest"]

UNWRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT),
    *(errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG),
)


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open_regular(path) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def walk(folder: Path, name: str = "*") -> Iterator[Path]:
    """Yield every file and folder of this name below a folder, at any depth. Links are not followed."""
    left = [folder]
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                found = [(Path(entry.path), entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            continue  # a folder that cannot be read, or that is gone
        yield from (path for path, _ in found if name in ("*", path.name))
        left += [path for path, is_folder in found if is_folder]


def folder_sha256(folder: Path, names: list[str] | None = None) -> str:
    """Return the SHA-256 over names and contents of a folder's files: all, or the given names that exist."""
    paths = [folder / name for name in names] if names else sorted(walk(folder))
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def nested(folder: Path) -> list[Path]:
    """List bundles inside a bundle, each with its own manifest: the full-precision baseline, if it was asked for."""
    return sorted(path.parent for path in walk(folder, MANIFEST) if path.parent != folder)


def stages_folder(folder: Path) -> Path:
    """Folder beside a bundle that holds the bundles of its stages, if the export was asked for them."""
    return folder.with_name(folder.name + ".stages")


def list_files(folder: Path) -> list[dict[str, str | int]]:
    """List path, hash and size of a bundle's files, without its manifest and the bundles inside it."""
    inner = nested(folder)
    entries: list[dict[str, str | int]] = []
    for path in sorted(walk(folder)):
        inside = any(parent in path.parents for parent in inner)
        if path.is_file() and path not in (folder / MANIFEST, folder / MARKER) and not inside:
            name = path.relative_to(folder).as_posix()
            entries.append({"path": name, "sha256": file_sha256(path), "bytes": path.stat().st_size})
    return entries


def write_manifest(folder: Path, manifest: Mapping[str, Json]) -> None:
    """Complete a manifest with format, file list and its own hash, and write it last of all files."""
    whole = sealed({**manifest, "files": list_files(folder)})
    text = json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def check_files(folder: Path, manifest: Manifest, hashes: bool | Collection[str] = True) -> None:
    """Check that every file of the manifest is there, complete and unaltered.

    Args:
        folder: The bundle.
        manifest: Its manifest.
        hashes: Whether to compare hashes, or the paths of the files whose hashes to compare.

    Raises:
        BundleError: Names the first file that is missing or altered.
    """
    for damage in damages(folder, manifest, hashes):
        raise BundleError(damage)


def damages(folder: Path, manifest: Manifest, hashes: bool | Collection[str] = True) -> Iterator[str]:
    """Describe each missing or altered file in one line; `hashes` is as in `check_files`."""
    for entry in manifest.files:
        path = folder / entry.path
        hashed = hashes if isinstance(hashes, bool) else entry.path in hashes
        try:
            damage = _damage(path, folder, entry, hashed)
        except OSError as error:
            damage = f"cannot be read ({error.strerror or error}); make it readable or copy the bundle again"
        if damage:
            yield f"{path}: {damage}"


def _damage(path: Path, folder: Path, entry: FileEntry, hashes: bool) -> str:
    """What is wrong with one file; "" if nothing is."""
    if not os.path.lexists(path):
        return "missing from the bundle; copy the whole folder again"
    if leads_out(path, folder):
        return LEADS_OUT
    if not path.is_file():
        return "not a regular file; copy the bundle again"
    if (size := path.stat().st_size) != entry.bytes:
        return f"{size} bytes, expected {entry.bytes}; truncated or altered, copy it again"
    if hashes and file_sha256(path) != entry.sha256:
        return "altered, its SHA-256 is not the manifest's; copy the bundle again"
    return ""


def strangers(folder: Path, manifests: Mapping[Path, Manifest]) -> list[Path]:
    """List files in a bundle's folder that no manifest lists: nothing reads them, and no hash covers them.

    Args:
        folder: The bundle.
        manifests: Its manifest and those of the bundles inside it, by their folders.
    """
    own = {place / MANIFEST for place in manifests}
    own |= {place / entry.path for place, manifest in manifests.items() for entry in manifest.files}
    return sorted(path for path in walk(folder) if (path.is_symlink() or not path.is_dir()) and path not in own)


def bundle_hash(folder: Path) -> str:
    """Hash of the whole bundle: the manifest's, which lists the hash of every other file."""
    return file_sha256(folder / MANIFEST)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `folder`; if the block succeeds, move it to `folder`.

    Raises:
        DiskError: The location cannot be written, holds something other than a bundle, or the disk is full. What was
            there before is untouched.
    """
    folder = folder.resolve()
    check_replaceable(folder)
    temporary = unfinished(folder)
    with disk_errors(folder):
        # A killed run may have left something with this name.
        remove_leftover(temporary)
        temporary.mkdir(parents=True)
    try:
        with disk_errors(folder):
            (temporary / MARKER).touch()
            yield temporary
            _swap(temporary, folder)
    finally:
        with contextlib.suppress(OSError):
            remove_folder(temporary)


@contextmanager
def disk_errors(place: Path, option: str = "--out") -> Iterator[None]:
    """Turn the operating system's write errors into a `DiskError` that names the location and the option to change."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskError(f"{place}: no space left on the disk; free some or give another {option}") from None
        if error.errno == errno.EFBIG:
            raise DiskError(f"{place}: larger than a file may be here (ulimit -f); raise the limit") from None
        if error.errno in UNWRITABLE:
            why = "a file stands in its path" if error.errno in (errno.EEXIST, errno.ENOTDIR) else error.strerror
            raise DiskError(f"{place}: cannot be written ({why}); give another {option}") from None
        raise


def check_folder(folder: Path, option: str = "--out") -> None:
    """Check that a folder can be written, before hours of work.

    Raises:
        DiskError: It cannot, or it is not a folder.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        kind = "a file" if os.path.isfile(folder) else "a device, pipe or socket"
        raise DiskError(f"{folder.resolve()}: {kind}, not a folder; give another {option}")
    check_writable(folder, option)


def check_outside(place: Path, option: str = "--out", is_replaced: bool = False) -> None:
    """Refuse to write into an existing bundle: its files must stay as they were exported.

    Raises:
        DiskError: The location is inside a bundle, or is a bundle that this command does not replace.
    """
    resolved = place.resolve()
    for folder in (*([] if is_replaced else [resolved]), *resolved.parents):
        if is_ours(folder):
            raise DiskError(
                f"{place}: is or is inside the bundle {folder}, which must not change; give another {option}"
            )


def check_name(place: Path, ending: str, option: str = "--out") -> None:
    """Check that the file system accepts the longest temporary name that will be made from this one.

    Raises:
        DiskError: The name is too long.
    """
    try:
        os.lstat(place.with_name(f".{place.name}{ending}"))
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise DiskError(
                f"{place}: the name is too long for the files beside it, which end in {ending}; give a shorter {option}"
            ) from None


def check_no_link(folder: Path) -> None:
    """Refuse to write into one of EdgeBERT's folders if it is a link to another folder.

    Raises:
        DiskError: It is a link.
    """
    if folder.is_symlink():
        raise DiskError(f"{folder}: a link to another folder; remove it or give another --out")


def check_writable(place: Path, option: str = "--out") -> None:
    """Check that a file or folder can be written at this location.

    Raises:
        DiskError: It cannot.
    """
    place = place.resolve()
    with disk_errors(place, option):
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.lstat(place)
        # A probe may be removed at any time, so one from a killed run is removed whatever its age.
        with new_file_beside(place, ".probe", 0) as (_, descriptor), os.fdopen(descriptor, "wb") as probe:
            probe.write(b"edgebert")


def check_replaceable(folder: Path) -> None:
    """Refuse to replace anything but a bundle, and refuse if the temporary names beside it are taken.

    Raises:
        DiskError: The location is a file or a folder that is not a bundle; or a temporary name beside it is taken by
            something that a killed run did not leave.
    """
    stages, folder = stages_folder(folder), folder.resolve()
    for place in (unfinished(folder), replaced(folder), *stage_leftovers(stages)):
        check_leftover(place)
    _check_free(folder)


def check_stages(folder: Path, are_written: bool) -> None:
    """Refuse to write or remove stage bundles if something else has one of their names. Other files there stay.

    Args:
        folder: The export's bundle.
        are_written: Whether the export writes bundles of its stages; else it only removes those of an earlier one.

    Raises:
        DiskError: The folder beside `folder` is a link, a file or a bundle; or one of the names in it is a link, a file
            or a folder that is not a bundle.
    """
    root = stages_folder(folder)
    check_stage_links(root)
    check_outside(root)
    if not are_written:
        return
    if root.exists() and not root.is_dir():
        raise DiskError(f"{root}: a file where stage bundles go; move it away or give another --out")
    for name in STAGES:
        _check_free(root / name)


def check_stage_links(root: Path) -> None:
    """Refuse a folder of stage bundles that is a link, or that has a link under a stage bundle's name.

    Raises:
        DiskError: Names the link.
    """
    check_no_link(root)
    for name in STAGES:
        check_no_link(root / name)


def _check_free(folder: Path) -> None:
    if folder.is_dir() and (not any(folder.iterdir()) or is_ours(folder)):
        return
    if folder.exists():
        raise DiskError(f"{folder}: exists and is not a bundle; move it away or give another --out")


def restore(folder: Path) -> None:
    """Move back a bundle that a killed run had moved aside and not yet replaced.

    Raises:
        DiskError: It cannot be moved.
    """
    folder = folder.resolve()
    old = replaced(folder)
    if is_ours(old) and not old.is_symlink() and not os.path.lexists(folder):
        with disk_errors(folder):
            old.rename(folder)


def _swap(new: Path, place: Path) -> None:
    old = replaced(place)
    remove_leftover(old)
    (new / MARKER).unlink()
    with contextlib.suppress(FileNotFoundError):
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            old.rename(place)
        raise
    with contextlib.suppress(OSError):
        remove_folder(old)
