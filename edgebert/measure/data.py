"""Data files as a bundle's task reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from edgebert.errors import MissingColumnError
from edgebert.examples import Columns, Example, read_by_first
from edgebert.runtime.tasks import device_half
from edgebert.settings import fill


def read_rows(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Read a labelled file, with the settings and the columns of the data that a bundle was made from.

    A table may have the usual names in place of theirs: text, text_pair, label.

    Raises:
        DataError: The file cannot be used; the message names file, line and value.
    """
    return _read(path, manifest, namings(manifest))


def read_texts(path: Path, manifest: dict[str, Any]) -> list[Example]:
    """Read a file with or without labels; rows of a file without the label column have none.

    Raises:
        DataError: The file cannot be used.
    """
    return _read(path, manifest, _numbers_last([*namings(manifest), *unlabelled(manifest)]))


def data_file(manifest: dict[str, Any]) -> str:
    """What a labelled file for a bundle holds, as people are told it."""
    kind: str | None = getattr(device_half(manifest["task"]), "DATA", None)
    return kind or " or ".join(_listed(columns) for columns in namings(manifest))


def namings(manifest: dict[str, Any]) -> list[Columns]:
    """Columns of the data that the bundle was made from, and the usual ones."""
    stated = manifest["data"]["columns"]
    own = Columns(**{field.name: stated[field.name] for field in fields(Columns) if field.name in stated})
    usual = Columns(text_pair="text_pair" if own.text_pair else "", label="label" if own.label else "")
    return [own] if own == usual else _numbers_last([own, usual])


def unlabelled(manifest: dict[str, Any]) -> list[Columns]:
    """The same without labels, and where a task takes texts alone as well as pairs, without the second text."""
    pairs = [replace(columns, label="") for columns in namings(manifest)]
    if not getattr(device_half(manifest["task"]), "ALONE", False):
        return pairs
    return _numbers_last([*pairs, *(replace(columns, text_pair="") for columns in pairs)])


def _numbers_last(namings: Sequence[Columns]) -> list[Columns]:
    """The same in order, but columns that go by number after every name: any table has those."""
    return sorted(namings, key=lambda columns: not columns.header)


def _read(path: Path, manifest: dict[str, Any], by: Sequence[Columns]) -> list[Example]:
    half = device_half(manifest["task"])
    settings = fill(half.Settings, manifest["head"]["settings"], "manifest.json")
    try:
        return read_by_first(by, lambda columns: half.read(path, columns, settings))
    except MissingColumnError as error:
        raise MissingColumnError(f"{error}; this bundle reads {data_file(manifest)}", column=error.column) from None


def _listed(columns: Columns) -> str:
    if columns.header:
        return "the columns " + ", ".join(name for name in (columns.text, columns.text_pair, columns.label) if name)
    fields = vars(columns)
    named = [f"{fields[key]} ({key})" for key in ("text", "text_pair", "label") if fields[key]]
    return f"a table without a header whose columns are {', '.join(named)}"
