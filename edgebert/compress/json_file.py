"""Read the JSON files of a checkpoint's folder. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebert.compress.git_lfs import check_fetched
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json, read_json

SAVE = "save the model again with save_pretrained"


def whole(config: Mapping[str, Json], entry: str, default: int) -> int:
    """A whole number of a config; the default if it is missing or not a number, which `check_config` refuses."""
    value = config.get(entry, default)
    return value if isinstance(value, int) else default


def first_class(config: Mapping[str, Json]) -> str:
    """First class in a config's `architectures`, or ""."""
    named = config.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else ""


def read_object(path: Path, remedy: str = SAVE) -> dict[str, Json]:
    """Read a JSON object, as strictly as a manifest (`edgebert.strict_json`).

    Raises:
        CheckpointError: The file is missing or holds something else; the message gives the reason and `remedy`.
    """
    found = read_value(path, "a JSON object", remedy)
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: not a JSON object but a {type(found).__name__}; {remedy}")
    return found


def read_value(path: Path, expected: str, remedy: str) -> object:
    """Read a JSON value; `expected` says in the error message what the file should hold.

    Raises:
        CheckpointError: The file cannot be read, or is not strict JSON.
    """
    check_fetched(path)
    try:
        found: object = read_json(path)
    except UnicodeDecodeError:
        raise CheckpointError(f"{path}: not {expected} (not UTF-8 text); {remedy}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CheckpointError(f"{path}: not {expected} ({reason}); correct the file, or {remedy}") from None
    return found
