"""Data files as a bundle's task reads them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebert.errors import MissingColumnError
from edgebert.examples import Columns, Example
from edgebert.runtime.tasks import device_half
from edgebert.settings import fill


def read_rows(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Read a labelled file with the columns and settings of the data that a bundle was made from.

    Raises:
        DataError: The file cannot be used; the message names file, line and value.
    """
    half = device_half(manifest["task"])
    columns = Columns(**manifest["data"]["columns"])
    settings = fill(half.Settings, manifest["head"]["settings"], "manifest.json")
    examples: list[Example] = half.read(path, columns, settings)
    return examples


def read_texts(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Read a file with or without labels; rows of a file without the label column have none.

    Raises:
        DataError: The file cannot be used.
    """
    columns = Columns(**manifest["data"]["columns"])
    try:
        return read_rows(path, manifest)
    except MissingColumnError as error:
        if error.column != columns.label:
            raise
    unlabelled = replace(columns, label="")
    return read_rows(path, manifest | {"data": manifest["data"] | {"columns": vars(unlabelled)}})
