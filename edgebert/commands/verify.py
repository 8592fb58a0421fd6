"""`edgebert verify`: is every file of a bundle, and of the baseline inside it, there, whole and unaltered?"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgebert.bundle import bundle_hash, damages, nested, read_manifest
from edgebert.commands.output import note, write, write_json
from edgebert.errors import BundleError


def run(arguments: argparse.Namespace) -> int:
    """Check every file; a damaged bundle exits with 2, and each file that is not as it was written has its line."""
    folder = Path(arguments.bundle)
    manifest = read_manifest(folder)
    manifests = {folder: manifest, **{inner: read_manifest(inner) for inner in nested(folder)}}
    found = [damage for place, each in manifests.items() for damage in damages(place, each)]
    files = sum(len(each["files"]) for each in manifests.values())
    if arguments.json:
        document = {"bundle": str(folder), "files": files, "hash": bundle_hash(folder)}
        write_json({**document, "whole": not found, "damages": found})
    elif not found:
        write(f"{folder}: {files} files whole and unaltered (hash {bundle_hash(folder)[:16]})")
    for damage in found[:-1]:
        note(f"edgebert: {damage}")
    if found:
        raise BundleError(found[-1])
    return 0
