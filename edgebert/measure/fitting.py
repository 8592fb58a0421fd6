"""Whether a data file fits every bundle of a bench: found out before the first one is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgebert.errors import DataError, InputError
from edgebert.measure.bench import Workload, read_workload
from edgebert.measure.variants import Variant
from edgebert.runtime.rows import data_file

# What decides how a bundle reads a file and encodes its texts, beside its tokenizer.
READING = ("task", "segments", "max_length", "labels", "head", "data")


def check_fits(workload: Workload, manifest: dict[str, Any], variants: Sequence[Variant]) -> None:
    """Refuse bundles that cannot answer, or read otherwise, what the first bundle reads of a data file.

    Args:
        workload: What the first bundle reads.
        manifest: The first bundle's.
        variants: Everything that is to be measured.

    Raises:
        InputError: A bundle has another task.
        DataError: A bundle lacks a column, reads other texts, or cannot encode one; names bundle and column.
    """
    seen = {_reading(manifest)}
    for variant in variants:
        found = variant.manifest
        if found["task"] != manifest["task"]:
            raise InputError(
                f"{variant.folder}: its task is {found['task']}, that of {manifest['name']} is {manifest['task']}; "
                "bench bundles of one task at a time"
            )
        if (reading := _reading(found)) not in seen:
            _check_same(workload, manifest, variant)
            seen.add(reading)


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Start the message of an error in a data file with the bundle's folder."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None


def _check_same(workload: Workload, manifest: dict[str, Any], variant: Variant) -> None:
    with naming(variant.folder):
        own = read_workload(workload.path, variant.manifest, variant.folder, workload.named)
    if workload.examples[0].label is not None and own.examples[0].label is None:
        column = variant.manifest["data"]["columns"].get("label", "label")
        raise DataError(
            f"{variant.folder}: {workload.path}: no column {column!r}, which holds this bundle's labels; add it"
        )
    if own.inputs != workload.inputs:
        raise DataError(
            f"{variant.folder}: reads other texts of {workload.path} ({data_file(variant.manifest)}) than "
            f"{manifest['name']} ({data_file(manifest)}); bench it alone, or give a file with the same texts for both"
        )


def _reading(manifest: dict[str, Any]) -> str:
    tokenizer = [file["sha256"] for file in manifest["files"] if file["path"] == "tokenizer.json"]
    data = {key: value for key, value in manifest["data"].items() if key in ("columns", "label_values")}
    return json.dumps([{**{key: manifest[key] for key in READING}, "data": data}, tokenizer], sort_keys=True)
