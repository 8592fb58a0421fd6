"""Data of one export run: files read, labels numbered, texts encoded for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from edgebert.errors import DataError
from edgebert.examples import Columns, Example, fingerprint, read_examples
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded, TextEncoder


@dataclass(frozen=True)
class TaskData:
    """Examples of every split, the label values as they stand in the files, and each file's fingerprint."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]
    unlabelled: list[Example]
    label_values: list[str]
    label_names: list[str]
    fingerprints: list[dict[str, Any]]


def read_task_data(settings: DataSettings, folder: Path, head: list[str] | None = None) -> TaskData:
    """Read every file that a recipe names.

    Args:
        settings: The recipe's `[data]` table.
        folder: What its paths are relative to.
        head: Labels of the checkpoint's own head, where it has one that is to be kept.

    Raises:
        DataError: A file cannot be used, or holds a label that is not known.
    """
    columns = Columns(settings.text, settings.text_pair, settings.label)
    splits = {
        name: read_examples(folder / getattr(settings, name), columns) if getattr(settings, name) else []
        for name in ("train", "validation", "test")
    }
    text_only = Columns(settings.text, settings.text_pair, "")
    unlabelled = [row for name in settings.unlabelled for row in read_examples(folder / name, text_only)]
    values, names = _labels(settings, splits, folder, head)
    for split, rows in splits.items():
        _check_labels(folder / getattr(settings, split), rows, values)
    limit = settings.limit or None
    return TaskData(
        train=splits["train"][:limit],
        validation=splits["validation"],
        test=splits["test"],
        unlabelled=unlabelled[:limit],
        label_values=values,
        label_names=names,
        fingerprints=_fingerprints(settings, folder, splits),
    )


class EncodedRows(Dataset[dict[str, Any]]):
    """Encoded examples for a trainer; each item holds lists of ids, a batch is padded by `pad_batch`."""

    def __init__(self, rows: Sequence[Encoded], labels: Sequence[int]) -> None:
        """Keep encoded texts and their label numbers (-100 where a text has no label)."""
        self.rows = rows
        self.labels = labels

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One text's ids, segment ids and label number."""
        row = self.rows[index]
        return {"input_ids": row.ids, "token_type_ids": row.type_ids, "labels": self.labels[index]}


def encode_rows(examples: Sequence[Example], encoder: TextEncoder, label_values: Sequence[str]) -> EncodedRows:
    """Encode examples exactly as the device will.

    Raises:
        TextError: A text holds no token.
    """
    numbers = {value: index for index, value in enumerate(label_values)}
    encoded = [encoder.encode_row(example) for example in examples]
    labels = [-100 if example.label is None else numbers[example.label] for example in examples]
    return EncodedRows(encoded, labels)


def pad_batch(items: Sequence[dict[str, Any]], pad_id: int = 0) -> dict[str, torch.Tensor]:
    """Pad a batch to its longest text.

    Returns:
        `input_ids`, `attention_mask`, `token_type_ids`: *Shape* (batch, longest), int64; `labels`: *Shape* (batch,).
    """
    longest = max(len(item["input_ids"]) for item in items)
    shape = (len(items), longest)
    ids = torch.full(shape, pad_id, dtype=torch.long)
    mask, types = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    for row, item in enumerate(items):
        length = len(item["input_ids"])
        ids[row, :length] = torch.tensor(item["input_ids"])
        types[row, :length] = torch.tensor(item["token_type_ids"])
        mask[row, :length] = 1
    labels = torch.tensor([item["labels"] for item in items])
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types, "labels": labels}


def _labels(
    settings: DataSettings, splits: dict[str, list[Example]], folder: Path, head: list[str] | None
) -> tuple[list[str], list[str]]:
    """Label values in the files and the names shown for them, in the order of the head's outputs."""
    seen = sorted({row.label for row in splits["train"] if row.label is not None})
    names = settings.label_names
    if head is not None:
        by_name = {name: value for value, name in names.items()}
        values = [by_name.get(name, name) for name in head]
        surplus = [value for value in seen if value not in values]
        if surplus and sorted(seen) == [str(index) for index in range(len(seen))] and len(seen) <= len(head):
            return [str(index) for index in range(len(head))], head
        if surplus:
            raise DataError(
                f"{folder / settings.train}: labels {surplus[:5]} are not among the {len(head)} of the head "
                f"({', '.join(head[:8])}); map them in [data.label_names], or set finetune.when to always"
            )
        return values, head
    values = list(names) if names else seen
    if len(values) == 1:
        raise DataError(f"{folder / settings.train}: only one label, {values[0]!r}; expected at least two")
    return values, [names.get(value, value) for value in values]


def _check_labels(path: Path, rows: list[Example], values: list[str]) -> None:
    known = set(values)
    for row in rows:
        if row.label not in known:
            shown = ", ".join(values[:8]) + ("…" if len(values) > 8 else "")
            raise DataError(f"{path}: line {row.line}: unknown label {row.label!r}; expected one of: {shown}")


def _fingerprints(settings: DataSettings, folder: Path, splits: dict[str, list[Example]]) -> list[dict[str, Any]]:
    files = [(name, getattr(settings, name)) for name in splits if getattr(settings, name)]
    files += [("unlabelled", name) for name in settings.unlabelled]
    return [
        {"split": split, "file": name, "rows": len(splits.get(split, ())) or None, "sha256": fingerprint(folder / name)}
        for split, name in files
    ]
