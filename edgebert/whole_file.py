"""Write files that appear complete or not at all; temporary files never follow a link. Standard library only."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Create a new file or fail: never write to somebody's existing file or link.
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
NEW |= getattr(os, "O_BINARY", 0)


# No process takes this long to write a text file, so an older file was left by a killed process.
STALE_SECONDS = 600.0


@contextmanager
def new_file_beside(path: Path, ending: str, stale_seconds: float = STALE_SECONDS) -> Iterator[tuple[Path, int]]:
    """Create a file with a new name beside a path, and remove it at the end if it still exists.

    Files of this kind older than `stale_seconds` are removed first: killed processes left them.

    Yields:
        The file, and a descriptor for writing, which the caller closes.

    Raises:
        OSError: The folder cannot be written.
    """
    import secrets

    beginning = f".{os.fsencode(path.name)[:64].decode(errors='ignore')}."
    _remove_stale(path.parent, re.compile(f"{re.escape(beginning)}[0-9a-f]{{16}}{re.escape(ending)}"), stale_seconds)
    temporary = path.with_name(f"{beginning}{secrets.token_hex(8)}{ending}")
    descriptor = os.open(temporary, NEW, 0o666)
    try:
        yield temporary, descriptor
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _remove_stale(folder: Path, names: re.Pattern[str], seconds: float) -> None:
    """Remove regular files with such names that have not changed for this long."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if names.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime >= seconds:
                        os.unlink(entry.path)


def write_whole(path: Path, text: str, newline: str | None = None) -> None:
    """Write a text file under a temporary name, then rename it.

    A link with the final name is replaced, not followed.

    Raises:
        OSError: The folder cannot be written.
    """
    with new_file_beside(path, ".partial") as (temporary, descriptor):
        with os.fdopen(descriptor, "w", encoding="utf-8", newline=newline) as opened:
            opened.write(text)
        os.replace(temporary, path)
