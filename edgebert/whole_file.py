"""Files that appear whole or not at all, by way of temporary files that never follow a link. Standard library only."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# A new file, or an error: neither a file nor a link that somebody put there is written through.
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
NEW |= getattr(os, "O_BINARY", 0)


@contextmanager
def new_file_beside(path: Path, ending: str) -> Iterator[tuple[Path, int]]:
    """Make a file of a new name beside a path, and remove it at the end if it is still there.

    Yields:
        The file, and a descriptor to write it by, which the caller closes.

    Raises:
        OSError: The folder cannot be written.
    """
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}{ending}")
    descriptor = os.open(temporary, NEW, 0o666)
    try:
        yield temporary, descriptor
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def write_whole(path: Path, text: str, newline: str | None = None) -> None:
    """Write a text file under a temporary name, then give it its own; a link of that name is replaced, not followed.

    Raises:
        OSError: The folder cannot be written.
    """
    with new_file_beside(path, ".partial") as (temporary, descriptor):
        with os.fdopen(descriptor, "w", encoding="utf-8", newline=newline) as opened:
            opened.write(text)
        os.replace(temporary, path)
