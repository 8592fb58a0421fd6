"""Read data files as a bundle's task does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from edgebert.data.columns import Columns, columns_fault
from edgebert.data.empty import Rows, without_empty
from edgebert.data.examples import read_by_first, read_examples
from edgebert.data.formats import COLUMNAR
from edgebert.data.named import OPTIONS, Named
from edgebert.data.words import FindTokens
from edgebert.errors import DataError, InputError, MissingColumnError
from edgebert.manifest import Manifest
from edgebert.settings import fill
from edgebert.tasks.table import spec_of

USUAL = Named()


def read_rows(path: Path, manifest: Manifest, named: Named = USUAL, find_tokens: FindTokens | None = None) -> Rows:
    """Read a labelled file, with the settings and columns of the data that a bundle was made from.

    A table may use the usual column names instead: text, text_pair, label. `named` comes before both. `find_tokens`
    finds the bundle's added tokens; each counts as one word.

    Raises:
        DataError: The file cannot be used; the message names file, line and value.
        InputError: `named` has a column that the file or the task does not have.
    """
    return _read(path, manifest, _sound(path, namings(manifest, named)), named, find_tokens)


def read_texts(path: Path, manifest: Manifest, named: Named = USUAL, find_tokens: FindTokens | None = None) -> Rows:
    """Read a file with or without labels.

    Without a label column, rows have no labels; if the user named that column, it must exist.

    Raises:
        DataError: The file cannot be used.
        InputError: As `read_rows`.
    """
    by = _sound(path, [*namings(manifest, named), *unlabelled(manifest, named)])
    return _read(path, manifest, _numbers_last(by), named, find_tokens)


def text_rows(path: Path, manifest: Manifest, named: Named = USUAL) -> Rows:
    """Read only texts, under the user's column names, those of the bundle's data, or the usual ones.

    Raises:
        DataError: The file cannot be used.
        InputError: As `read_rows`, or the file has pairs and the bundle takes single texts.
    """
    by = text_namings(path, manifest, named)
    refuse_pairs(path, manifest, named, lambda first, pair: _has_pairs(path, Columns(first, pair, "", skip_empty=True)))
    try:
        return without_empty(path, read_by_first(by, lambda columns: read_examples(path, columns)))
    except MissingColumnError as error:
        if named.text:
            raise
        raise MissingColumnError(f"{error}; name that of the texts with --text-column", column=error.column) from None


def text_namings(path: Path, manifest: Manifest, named: Named) -> list[Columns]:
    """Columns under which a file's texts are looked for, the first that fit first.

    Raises:
        InputError: `named` names what the file or the task does not have.
    """
    check_named(path, manifest, named, texts_only=True)
    first, pair = spec_of(manifest.task).input_keys or ("text", "text_pair")
    by = unlabelled(manifest, named)
    if first != "text":
        by = [*map(named.over, (Columns(first, pair, ""), Columns("text", "text_pair", ""))), *by]
    return by


def refuse_pairs(path: Path, manifest: Manifest, named: Named, has: Callable[[str, str], bool]) -> None:
    """Refuse a file with pairs under the usual names where the bundle takes single texts and none is named.

    Raises:
        InputError: `has` says of those two names that the file has them.
    """
    first, pair = spec_of(manifest.task).input_keys or ("text", "text_pair")
    if _takes_no_pairs(manifest) and not named.text and has(first, pair):
        raise InputError(f"{path}: has pairs ('{pair}'), but this bundle takes single texts; leave it out")


def _takes_no_pairs(manifest: Manifest) -> bool:
    """Whether a row is a single text; a task that encodes each text of a row alone takes pairs as well."""
    return manifest.segments == 1 and not spec_of(manifest.task).encodes_alone


def _has_pairs(path: Path, columns: Columns) -> bool:
    try:
        return any(row.text_pair is not None for row in read_examples(path, columns))
    except DataError:
        return False


def _sound(path: Path, by: Sequence[Columns]) -> list[Columns]:
    """Keep the sets of column names in which no column is both text and label.

    Raises:
        InputError: No set is left.
    """
    faults = [columns_fault(columns) for columns in by]
    if all(faults):
        raise InputError(f"{path}: {faults[0]}; name others with --text-column, --label-column")
    return [columns for columns, fault in zip(by, faults, strict=True) if not fault]


def data_file(manifest: Manifest) -> str:
    """What a labelled file for a bundle contains, for messages."""
    return spec_of(manifest.task).data or " or ".join(_listed(columns) for columns in namings(manifest))


def namings(manifest: Manifest, named: Named = USUAL) -> list[Columns]:
    """Sets of column names to try: those of the bundle's data, and the usual ones, each with the user's names."""
    spec, own = spec_of(manifest.task), replace(manifest.data.columns, skip_empty=False)
    if spec.encodes_alone and not own.text_pair:  # exported from a folder and single texts, but scored on pairs
        own = replace(own, text_pair="text_pair")
    usual = Columns(text_pair="text_pair" if own.text_pair else "", label="label" if own.label else "")
    label = spec.label_key if own.label else ""
    also = [] if spec.input_keys is None or spec.data is not None else [Columns(*spec.input_keys, label)]
    return _numbers_last(list(dict.fromkeys(map(named.over, (own, *also, usual)))))


def unlabelled(manifest: Manifest, named: Named = USUAL) -> list[Columns]:
    """The same sets without labels.

    For tasks that take single texts and pairs, also without the second text. None if the user named the label column.
    """
    if named.label or named.tags:
        return []
    pairs = [replace(columns, label="") for columns in namings(manifest, named)]
    if named.text_pair or not spec_of(manifest.task).encodes_alone:
        return pairs
    return _numbers_last([*pairs, *(replace(columns, text_pair="") for columns in pairs)])


def _numbers_last(namings: Sequence[Columns]) -> list[Columns]:
    """Reorder the sets: numbered columns come last, since every table has those."""
    return sorted(namings, key=lambda columns: not columns.header)


def check_named(path: Path, manifest: Manifest, named: Named, texts_only: bool = False) -> None:
    """Refuse column names that do not apply to the file or the bundle's task.

    Args:
        path: The data file.
        manifest: The bundle's manifest.
        named: Columns that a user named.
        texts_only: Whether only texts are read; every task reads them from a table or JSON Lines.

    Raises:
        InputError: Names the options.
    """
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    tagged = spec_of(manifest.task).is_tagged and not texts_only
    found = os.path.isdir(path) or path.name == "seq.in"
    if suffix not in (".tsv", ".csv", ".jsonl", *COLUMNAR) or found:
        named.refuse(("skip_empty",), f"{path}: only tables and JSON Lines have empty cells")
    if suffix == ".json" or found:
        named.refuse(tuple(OPTIONS), f"{path}: {'a slot folder' if found else 'a SQuAD document'} has fixed names")
    if suffix not in (".tsv", ".csv") or tagged:
        named.refuse(("delimiter", "header"), f"{path}: is not a table (.tsv, .csv) for {manifest.task}")
    if suffix == ".txt" and not tagged:
        named.refuse(tuple(OPTIONS), f"{path}: has no columns, only one text per line")
    if not tagged:
        named.refuse(("tags",), f"the task {manifest.task} has no tags")
    if named.text_pair and _takes_no_pairs(manifest):
        named.refuse(("text_pair",), "this bundle takes single texts")


def _read(path: Path, manifest: Manifest, by: Sequence[Columns], named: Named, find_tokens: FindTokens | None) -> Rows:
    check_named(path, manifest, named)
    spec = spec_of(manifest.task)
    settings = fill(spec.settings, manifest.head.settings, "manifest.json")
    try:
        return without_empty(path, read_by_first(by, lambda columns: spec.rows(path, columns, settings, find_tokens)))
    except MissingColumnError as error:
        if replace(named, skip_empty=False).given():
            raise
        reads = f"this bundle reads {data_file(manifest)}; --text-column, --label-column and the like name others"
        raise MissingColumnError(f"{error}; {reads}", column=error.column) from None


def _listed(columns: Columns) -> str:
    if columns.header:
        return "the columns " + ", ".join(name for name in (columns.text, columns.text_pair, columns.label) if name)
    fields = vars(columns)
    named = [f"{fields[key]} ({key})" for key in ("text", "text_pair", "label") if fields[key]]
    return f"a table without a header whose columns are {', '.join(named)}"
