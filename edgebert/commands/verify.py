"""`edgebert verify`: check that every file of a bundle and its baseline exists, complete and unaltered."""

from __future__ import annotations

import argparse
import errno
import re
from pathlib import Path

from edgebert.bundle import bundle_hash, damages, nested, strangers
from edgebert.commands.output import note, write, write_json
from edgebert.errors import BundleError, InputError
from edgebert.runtime.contract import read_bundle


def run(arguments: argparse.Namespace) -> int:
    """Check every file against the manifest, and the manifest against a hash if one is given.

    For a damaged bundle the exit code is 2, and each missing or altered file has a line.
    """
    folder = Path(arguments.bundle)
    manifest = read_bundle(folder)
    found = _wrong_hash(folder, arguments.hash)
    try:
        manifests = {folder: manifest, **{inner: read_bundle(inner) for inner in nested(folder)}}
        found += [damage for place, each in manifests.items() for damage in damages(place, each)]
        others = strangers(folder, manifests)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        fault = "has a path that is too long to read; remove files that are not part of the bundle"
        raise BundleError(f"{folder}: {fault}, or copy the bundle again") from None
    files = sum(len(each.files) for each in manifests.values())
    if arguments.json:
        document = {"bundle": str(folder), "files": files, "hash": bundle_hash(folder)}
        write_json({**document, "whole": not found, "damages": found, "strangers": [str(path) for path in others]})
    elif not found:
        write(f"{folder}: {files} files complete and unaltered (hash {bundle_hash(folder)[:16]})")
    for path in others:
        note(f"edgebert: {path}: not listed in the manifest; remove it if it is not yours")
    for damage in found[:-1]:
        note(f"edgebert: {damage}")
    if found:
        raise BundleError(found[-1])
    return 0


def _wrong_hash(folder: Path, expected: str | None) -> list[str]:
    """Compare the bundle's hash with the expected one. The manifest, which it covers, lists all other hashes.

    Raises:
        InputError: The expected value is not a hash, or is too short to tell bundles apart.
    """
    if expected is None:
        return []
    if not re.fullmatch(r"[0-9a-f]{8,64}", expected.lower()):
        raise InputError(
            f"--hash is {expected!r}; expected 8 to 64 hexadecimal digits, as export and verify print them"
        )
    found = bundle_hash(folder)
    if found.startswith(expected.lower()):
        return []
    return [
        f"{folder}: its hash is {found[: len(expected)]}, expected {expected}; "
        "it is another bundle, or its manifest was altered"
    ]
