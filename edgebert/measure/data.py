"""Data files as a bundle's task reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebert.errors import MissingColumnError
from edgebert.examples import Columns, Example
from edgebert.runtime.tasks import device_half
from edgebert.settings import fill


def read_rows(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Read a labelled file, with the settings and the columns of the data that a bundle was made from.

    A table may have the usual names in place of theirs: text, text_pair, label.

    Raises:
        DataError: The file cannot be used; the message names file, line and value.
    """
    return _read(path, manifest, _namings(manifest))


def read_texts(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Read a file with or without labels; rows of a file without the label column have none.

    Raises:
        DataError: The file cannot be used.
    """
    labelled = _namings(manifest)
    return _read(path, manifest, [*labelled, *(replace(columns, label="") for columns in labelled)])


def data_file(manifest: dict[str, Any]) -> str:
    """What a labelled file for a bundle holds, as people are told it."""
    kind: str | None = getattr(device_half(manifest["task"]), "DATA", None)
    return kind or " or ".join(_listed(columns) for columns in _namings(manifest))


def _namings(manifest: dict[str, Any]) -> list[Columns]:
    """Columns of the data that the bundle was made from, and the usual ones; numbers last, for any table has those."""
    own = Columns(**manifest["data"]["columns"])
    usual = Columns(text_pair="text_pair" if own.text_pair else "", label="label" if own.label else "")
    both = [own, usual] if own.header else [usual, own]
    return [own] if own == usual else both


def _read(path: Path, manifest: dict[str, Any], namings: Sequence[Columns]) -> list[Example]:
    """Rows by the first naming whose columns are all there."""
    half = device_half(manifest["task"])
    settings = fill(half.Settings, manifest["head"]["settings"], "manifest.json")
    missing: list[MissingColumnError] = []
    for columns in namings:
        try:
            examples: list[Example] = half.read(path, columns, settings)
        except MissingColumnError as error:
            missing.append(error)
        else:
            return examples
    # Where the texts are found and the labels are not, that is what is wrong.
    unlabelled = [found for columns, found in zip(namings, missing, strict=True) if found.column == columns.label]
    told = (unlabelled or missing)[0]
    raise MissingColumnError(f"{told}; this bundle reads {data_file(manifest)}", column=told.column)


def _listed(columns: Columns) -> str:
    if columns.header:
        return "the columns " + ", ".join(name for name in (columns.text, columns.text_pair, columns.label) if name)
    fields = vars(columns)
    named = [f"{fields[key]} ({key})" for key in ("text", "text_pair", "label") if fields[key]]
    return f"a table without a header whose columns are {', '.join(named)}"
