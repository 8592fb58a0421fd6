"""`edgebert verify`: is every file of a bundle there, whole and unaltered?"""

from __future__ import annotations

import argparse
from pathlib import Path

from edgebert.bundle import bundle_hash, check_files, read_manifest
from edgebert.commands.output import write, write_json


def run(arguments: argparse.Namespace) -> int:
    """Check hashes; a damaged bundle raises, and exits with 2."""
    folder = Path(arguments.bundle)
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    if arguments.json:
        write_json({"bundle": str(folder), "files": len(manifest["files"]), "hash": bundle_hash(folder), "whole": True})
    else:
        write(f"{folder}: {len(manifest['files'])} files whole and unaltered (hash {bundle_hash(folder)[:16]})")
    return 0
