"""Let one process at a time write to a folder: a lock beside it names its holder. Standard library only.

The operating system holds the lock (`flock`) and frees it when the process ends, however it ends; NFS and SMB ask their
server. Where there are no such locks (Windows, some file systems), the file itself is the lock. It is valid as long as
its process runs, or until somebody removes it if the process cannot be checked from here.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from edgebert.bundle import disk_errors
from edgebert.errors import BusyError, DiskError

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

ENDING = ".edgebert-lock"
FLAGS = ("O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK", "O_BINARY")
# Errors of a file system without locks.
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
# A holder writes its name immediately after it gets the lock.
NAMED_WITHIN_SECONDS = 1.0
MAX_BYTES = 1024
# Content that a holder writes; a file with anything else must not be removed.
HOLDER = re.compile(rb"[0-9]{1,20} \S{1,255}\n")


class Holder(NamedTuple):
    """The process that holds a lock."""

    process: int
    host: str


@contextmanager
def held(folder: Path, option: str) -> Iterator[None]:
    """Hold the lock of a folder: the file `.NAME.edgebert-lock` beside it, which is removed at the end.

    Folders that had to be made for it go too if they are empty at the end.

    Args:
        folder: Folder that no other process may write to meanwhile; need not exist.
        option: The option that names the folder, for the message.

    Raises:
        BusyError: Another process holds it; names that process and its host.
        DiskError: The lock file cannot be written, or something else has its name.
    """
    folder = folder.resolve()
    path = folder.parent / f".{folder.name}{ENDING}"
    with _made_for_now(folder.parent, option):
        with disk_errors(folder, option):
            descriptor = _locked(path, folder, option)
        try:
            yield
        finally:
            _release(descriptor, path)


@contextmanager
def _made_for_now(folder: Path, option: str) -> Iterator[None]:
    """Make a folder and those that it is in; remove those that were made and are empty at the end."""
    made = [each for each in (folder, *folder.parents) if not os.path.exists(each)]
    with disk_errors(folder, option):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        with suppress(OSError):
            for each in made:
                each.rmdir()


def _locked(path: Path, folder: Path, option: str) -> int:
    """Open and lock the file, write this process's name into it, and return its descriptor."""
    while True:
        descriptor = _opened(path)
        try:
            if not _take(descriptor):
                raise BusyError(_busy(_named(descriptor), path, folder, option))
            _check_ours(descriptor, path)
            if _is_at(descriptor, path):  # else its holder has removed it since we opened it
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT
    for name in FLAGS:
        flags |= getattr(os, name, 0)
    strange = _strange(path)
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # a link, a folder, a socket
            raise strange from None
        raise
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise strange
    return descriptor


def _strange(path: Path) -> DiskError:
    return DiskError(f"{path}: has the name of a lock file, but is not EdgeBERT's; move or remove it")


def _check_ours(descriptor: int, path: Path) -> None:
    """Refuse a file that is neither empty nor names a holder: it is somebody else's file."""
    content = os.read(descriptor, MAX_BYTES)
    os.lseek(descriptor, 0, os.SEEK_SET)
    if content and not HOLDER.fullmatch(content):
        raise _strange(path)


def _take(descriptor: int) -> bool:
    """Try to take the lock; return whether this process holds it now."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        else:
            return True
    holder = _read(descriptor)
    return holder is None or not _may_run(holder)


def _release(descriptor: int, path: Path) -> None:
    """Remove the lock's file and then free the lock, if the system allows this order: a later file is another's."""
    ours = _is_at(descriptor, path)
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        if ours and os.name != "nt":
            path.unlink()
    os.close(descriptor)
    with suppress(OSError):
        if ours and os.name == "nt":
            path.unlink()


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one with this name."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def _named(descriptor: int) -> Holder | None:
    """Wait until the holder has written its name, and return it."""
    until = time.monotonic() + NAMED_WITHIN_SECONDS
    while (holder := _read(descriptor)) is None and time.monotonic() < until:
        time.sleep(0.01)
    return holder


def _read(descriptor: int) -> Holder | None:
    os.lseek(descriptor, 0, os.SEEK_SET)
    text = os.read(descriptor, MAX_BYTES).decode("utf-8", "replace")
    os.lseek(descriptor, 0, os.SEEK_SET)
    process, _, host = text.strip().partition(" ")
    return Holder(int(process), host) if process.isascii() and process.isdecimal() and host else None


def _may_run(holder: Holder) -> bool:
    """Whether a holder's process runs, as far as this machine can tell."""
    if holder.host != socket.gethostname() or os.name == "nt":  # there `os.kill` ends a process
        return True
    try:
        os.kill(holder.process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _busy(holder: Holder | None, path: Path, folder: Path, option: str) -> str:
    who = f"process {holder.process} on {holder.host}" if holder else "another process"
    text = f"{folder}: {who} is working here; wait for it or give another {option}"
    here = holder is not None and holder.host == socket.gethostname() and os.name != "nt"
    return text if here else f"{text}; if that process has ended, remove {path} and start again"
