"""Check that a data file fits every bundle of a bench, before the first one is measured."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from edgebert.data.examples import listed
from edgebert.errors import DataError, InputError
from edgebert.manifest import TOKENIZER, Manifest
from edgebert.measure.variants import Variant
from edgebert.measure.workload import Workload, read_workload
from edgebert.runtime.rows import data_file
from edgebert.tasks.table import device_task

REMEDIES = {
    "baseline": "give --baseline one that the bundle was made from",
    "stage": "leave --stages out",
    "bundle": "bench bundles of one task at a time",
}


def check_one_task(manifest: Manifest, variants: Sequence[Variant]) -> None:
    """Refuse variants whose task differs from the first bundle's: they cannot be compared.

    Raises:
        InputError: A variant has another task; names both.
    """
    for variant in variants:
        if (task := variant.manifest.task) != manifest.task:
            raise InputError(
                f"{variant.folder}: its task is {task}, that of {manifest.name} is {manifest.task}; "
                f"{REMEDIES[variant.role]}"
            )


def check_fits(workload: Workload, manifest: Manifest, variants: Sequence[Variant]) -> None:
    """Refuse bundles that cannot answer a data file, or that read it differently from the first bundle.

    Args:
        workload: The inputs as the first bundle reads them.
        manifest: The first bundle's manifest.
        variants: All variants to measure.

    Raises:
        InputError: A bundle's answers cannot be compared: it has other labels or scores.
        DataError: A bundle lacks a column, reads other texts, or cannot encode one; names bundle and column.
    """
    seen = {_reading(manifest)}
    for variant in variants:
        if workload.examples[0].label is not None:
            _check_comparable(manifest, variant)
        if (reading := _reading(variant.manifest)) not in seen:
            _check_same(workload, manifest, variant)
            seen.add(reading)


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Prefix the message of a data file's error with the bundle's folder."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{folder}: {error}") from None


def _check_comparable(manifest: Manifest, variant: Variant) -> None:
    """Refuse a variant whose quality on labelled text cannot be compared with the first bundle's.

    A baseline must have the same labels as the first bundle, and another bundle at least one of them. Score ranges must
    be equal.
    """
    name, own, first = manifest.name, set(variant.manifest.labels), set(manifest.labels)
    if own != first and (variant.role == "baseline" or not own & first):
        raise InputError(
            f"{variant.folder}: its labels are {listed(variant.manifest.labels)}, those of {name} are "
            f"{listed(manifest.labels)}; their quality cannot be compared, {REMEDIES[variant.role]}"
        )
    if (range_ := _range(variant.manifest)) != _range(manifest):
        raise InputError(
            f"{variant.folder}: its scores are {range_}, those of {name} {_range(manifest)}; their quality cannot be "
            f"compared, {REMEDIES[variant.role]}"
        )


def _range(manifest: Manifest) -> str:
    """The range of a task's scores; "" if it has none."""
    return device_task(manifest.task)(manifest.facts, None).score_range or ""


def _check_same(workload: Workload, manifest: Manifest, variant: Variant) -> None:
    with naming(variant.folder):
        own = read_workload(workload.path, variant.manifest, variant.folder, workload.named)
    if workload.examples[0].label is not None and own.examples[0].label is None:
        column = variant.manifest.data.columns.label
        raise DataError(
            f"{variant.folder}: {workload.path}: no column {column!r}, which holds this bundle's labels; add it"
        )
    if own.inputs != workload.inputs:
        raise DataError(
            f"{variant.folder}: reads other texts of {workload.path} ({data_file(variant.manifest)}) than "
            f"{manifest.name} ({data_file(manifest)}); bench it alone, or give a file with the same texts for both"
        )


def _reading(manifest: Manifest) -> str:
    """The settings that decide how a bundle reads a file and encodes its texts."""
    tokenizer = [file.sha256 for file in manifest.files if file.path == TOKENIZER]
    model = [manifest.task, manifest.segments, manifest.max_length, manifest.labels, asdict(manifest.head)]
    data = [asdict(manifest.data.columns), manifest.data.label_values]
    return json.dumps([tokenizer, model, data], sort_keys=True)
