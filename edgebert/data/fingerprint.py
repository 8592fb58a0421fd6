"""Hash of a data file, or of the files of a split in the three-file slot format. Standard library only."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgebert.data.slots import INTENTS, TAGS, WORDS, slot_folder
from edgebert.errors import DataError
from edgebert.strict_json import open_regular


def fingerprint(path: Path) -> str:
    """SHA-256 of a file on disk, in hexadecimal.

    For a slot folder, or its `seq.in`, the hash covers names and contents of the format's three files. Other files in
    the folder are not read.

    Raises:
        DataError: The file cannot be read.
    """
    folder = slot_folder(path)
    try:
        if folder is None:
            return _sha256(path)
        digest = hashlib.sha256()
        for name in sorted((WORDS, TAGS, INTENTS)):
            if (folder / name).is_file():
                digest.update(f"{name}\0{_sha256(folder / name)}\n".encode())
        return digest.hexdigest()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); check the path and the folder it is relative to"
        ) from None


def _sha256(path: Path) -> str:
    with open_regular(path) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
