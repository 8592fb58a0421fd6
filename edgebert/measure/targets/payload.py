"""Files to send to another machine: EdgeBERT's device half, the bundles, the data file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import edgebert
from edgebert.data.slots import INTENTS, TAGS, WORDS, slot_folder
from edgebert.errors import BundleError
from edgebert.manifest import MANIFEST, leads_out, path_fault
from edgebert.measure.variants import Variant
from edgebert.runtime.sessions import core
from edgebert.runtimes import CORE

# Modules that a measured process never imports: the workstation half (listed in pyproject.toml) and the command line.
LEFT_OUT = {"compress", "exporters", "report", "commands", "cli.py", "profiles"}
LEFT_OUT |= {"comparing.py", "exporting.py", "finished.py", "pipeline.py", "places.py"}
LEFT_OUT |= {"precision.py", "recipe.py", "seal.py", "stage_bundles.py", "workdir.py"}
LEFT_OUT |= {"budgeted.py", "prepared.py", "training_tables.py"}
# Files of a task's folder that train it.
TRAINING = {"train.py", "training.py", "training_table.py"}

Files = dict[str, Path]


def device_half() -> Files:
    """Source files of the device half in the installed package, by their location in the target folder."""
    package = Path(edgebert.__file__).parent
    paths = (path.relative_to(package) for path in sorted(package.rglob("*.py")))
    chosen = (path for path in paths if path.parts[0] not in LEFT_OUT)
    return {f"edgebert/{path.as_posix()}": package / path for path in chosen if path.name not in TRAINING}


def core_library(variants: Sequence[Variant]) -> Files:
    """The native core's library of this machine, if a variant uses it and it is installed, by its location."""
    found = core.library_files() if any(variant.runtime == CORE.name for variant in variants) else []
    return {f"edgebert/lib/{core.LIBRARY.name}": Path(found[0])} if found else {}


def bundle_files(variants: Sequence[Variant]) -> tuple[Files, dict[str, str]]:
    """Files of every bundle by their location in the target folder, and the location of every bundle's folder.

    Raises:
        BundleError: A path in a manifest leads out of its folder.
    """
    files: Files = {}
    places: dict[str, str] = {}
    for variant in variants:
        if str(variant.folder) not in places:
            place = places[str(variant.folder)] = f"bundles/{len(places)}"
            for name in [MANIFEST, *(entry.path for entry in variant.manifest.files)]:
                files[f"{place}/{name}"] = _below(variant.folder, name)
    return files, places


def _below(folder: Path, name: str) -> Path:
    """Location of a bundle's file.

    Raises:
        BundleError: It is not inside the folder after links are resolved.
    """
    if path_fault(name) or leads_out(folder / name, folder):
        raise BundleError(f"{folder}: the path {name!r:.80} leads out of the bundle; export the bundle again")
    return folder / name


def data_files(path: Path) -> tuple[Files, dict[str, str]]:
    """The data file (or the three files of a slot folder), and the location of the named one."""
    path = path.resolve()
    folder = slot_folder(path)
    files = [path] if folder is None else _slot_files(folder)
    root = path.parent if folder is None else folder
    place = f"data/{root.name or 'set'}"
    named = place if path == folder else f"{place}/{path.name}"
    return {f"{place}/{file.name}": file for file in files}, {str(path): named}


def _slot_files(folder: Path) -> list[Path]:
    """The files that a split is read from; other files in its folder are not sent."""
    return [folder / name for name in (WORDS, TAGS, INTENTS) if (folder / name).is_file()]
