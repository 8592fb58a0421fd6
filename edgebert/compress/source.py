"""Find a checkpoint: a folder, an installed package, or a hub model. Needs no torch."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

from edgebert.compress.sentence_folder import MODULES
from edgebert.errors import CheckpointError
from edgebert.escape import shortened

# Files of a hub model: those of an encoder, and those of sentence-transformers with its module folders.
OWN_FILES = ("config.json", "tokenizer*", "vocab*", "merges.txt", "*_tokens*.json", "sentence_*_config.json")
HUB_FILES = [
    *("*.safetensors", MODULES, "config_sentence_transformers.json", "[0-9]*_*/pytorch_model.bin"),
    *OWN_FILES,
    *(f"[0-9]*_*/{name}" for name in OWN_FILES),
]
# Names of older models, such as bert-base-uncased, have no owner.
HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]{0,95}/)?[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


def resolve(source: str) -> Path:
    """Return the folder of a checkpoint named by path, by `package:NAME`, or by a hub id.

    Raises:
        CheckpointError: There is no such folder, package or hub model.
    """
    if source.startswith("package:"):
        return _in_package(source.removeprefix("package:"))
    folder = Path(source)
    if os.path.isdir(folder):
        _check_level(folder)
        return folder
    if os.path.isfile(folder):
        raise CheckpointError(f"{source}: a file; give the folder that holds the model's config.json and weights")
    if os.path.exists(folder) or HUB_ID.fullmatch(source) is None:
        raise CheckpointError(
            f"{shortened(source)}: no such model folder; give a folder, package:NAME or a hub id (owner/name, or "
            "a name alone)"
        )
    return _from_hub(source)


def _check_level(folder: Path) -> None:
    """Refuse a folder that only holds model folders, or only a module of sentence-transformers.

    Raises:
        CheckpointError: Names the folder to give.
    """
    weights = any(folder.glob("*.safetensors"))
    if (folder / "config.json").is_file() and not weights and (folder.parent / MODULES).is_file():
        raise CheckpointError(f"{folder}: a module of a sentence-transformers folder; give {folder.parent}")
    if weights or any((folder / name).is_file() for name in ("config.json", MODULES)):
        return
    inside = sorted(path.parent for path in folder.glob("*/config.json") if any(path.parent.glob("*.safetensors")))
    if inside:
        raise CheckpointError(
            f"{folder}: no config.json; give a folder inside it that holds a model, such as {inside[0]}"
        )


def first_line(error: BaseException) -> str:
    """First line of an error's message, for use in EdgeBERT's own message."""
    # The hub's client writes "Got: ConnectError: ..." as its own last line.
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].removeprefix("Got: ")


def _in_package(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() and name != "__main__" else None
    except ValueError:  # a module that was made while Python runs, and is of no package
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise CheckpointError(
            f"package:{name}: no such Python package is installed here; install the one that holds the model, "
            "or give its folder"
        )
    roots = [Path(place) for place in spec.submodule_search_locations]
    configs = [path for root in roots for path in root.rglob("config.json")]
    found = sorted(path.parent for path in configs if any(path.parent.glob("*.safetensors")))
    if not found:
        raise CheckpointError(f"package:{name}: holds no model folder (config.json beside safetensors weights)")
    return found[0]


def _from_hub(source: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, allow_patterns=HUB_FILES))
    except Exception as error:  # noqa: BLE001 - network, authentication and name errors alike
        if os.environ.get("HF_HUB_OFFLINE"):
            asked = "the hub was not asked, because HF_HUB_OFFLINE is set"
        else:
            asked = f"the hub did not return it: {first_line(error)}"
        raise CheckpointError(f"{source}: no such folder, and {asked}; give a local folder") from None
