"""Data of one export: read files, number labels, encode texts for training."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.utils.data import Dataset

from edgebert.compress import distributed
from edgebert.compress.labels import HEAD_REMEDY, Labels
from edgebert.data.balance import imbalance
from edgebert.data.columns import Columns
from edgebert.data.empty import Rows, note_of_skipped, without_empty
from edgebert.data.examples import Example, read_examples, read_texts
from edgebert.data.fingerprint import fingerprint
from edgebert.data.holdout import hold_out
from edgebert.data.unknown import Unknown, check_labels, note_of, unknown_labels
from edgebert.data.words import FindTokens
from edgebert.errors import DataError, SettingsError
from edgebert.manifest import Facts, Head
from edgebert.recipe import Recipe, settings_dict
from edgebert.runtime.added_tokens import AddedTokens
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.settings import fill
from edgebert.strict_json import Json
from edgebert.tasks.device import Task
from edgebert.tasks.spec import TaskSpec
from edgebert.tasks.table import device_task, spec_of
from edgebert.tasks.training import AnyTrainingTask
from edgebert.tasks.training_table import training_task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

LOG = logging.getLogger(__name__)

TRAIN_REMEDY = "name them in [data.label_names], or correct the file"
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TaskData:
    """Examples of every split, the labels, and each file's fingerprint.

    `corpus` is text that is only used to count tokens, not for training. `unknown` lists, for each held-out split, the
    labels that the head does not have.
    """

    task: str
    train: list[Example]
    validation: list[Example]
    test: list[Example]
    unlabelled: list[Example]
    labels: Labels
    settings: dict[str, Json]
    fingerprints: list[dict[str, Json]]
    corpus: list[Example] = field(default_factory=list)
    unknown: dict[str, Unknown] = field(default_factory=dict)

    @property
    def label_names(self) -> list[str]:
        """Names of the labels, in the order of the head's outputs."""
        return self.labels.names

    @property
    def training_task(self) -> AnyTrainingTask:
        """The training side of the task, for these settings."""
        return training_task(self.task, self.settings)

    @property
    def segments(self) -> int:
        """Number of texts in a row: 2 for pairs."""
        examples = self.train or self.validation or self.unlabelled
        return 2 if examples[0].text_pair is not None else 1

    @property
    def graph_segments(self) -> int:
        """Number of texts in one input of the graph: 1 if each text of a row is an input of its own."""
        return 1 if spec_of(self.task).encodes_alone else self.segments

    def head(self, tuned: Mapping[str, Json] | None = None) -> dict[str, Json]:
        """The manifest's entry about the head; `tuned` holds values chosen on the validation split."""
        return {"settings": self.settings, **self.labels.extra, **(tuned or {})}

    def facts(self, tuned: Mapping[str, Json] | None = None, inputs: Sequence[str] = (), pad_id: int = 0) -> Facts:
        """Manifest values that the device's task, and a model with these inputs, need."""
        return Facts(
            task=self.task,
            labels=tuple(self.labels.names),
            segments=self.segments,
            head=fill(Head, self.head(tuned), self.task, "head.", strict=False),
            label_values=tuple(self.labels.values),
            inputs=tuple(inputs),
            pad_id=pad_id,
        )

    def key(self) -> dict[str, Json]:
        """The part of a stage's inputs that describes the task and labels, without the examples."""
        return {
            "task": self.task,
            "labels": self.labels.names,
            "segments": self.segments,
            "head": self.head(),
            "data": {"label_values": self.labels.values},
        }

    def device_task(self, encoder: TextEncoder) -> Task:
        """The device's task, for these labels."""
        return device_task(self.task)(self.facts(), encoder)


def read_task_data(
    recipe: Recipe,
    folder: Path,
    head: list[str] | None = None,
    strict_labels: bool = False,
    find_tokens: FindTokens | None = None,
) -> TaskData:
    """Read every file that a recipe names.

    Args:
        recipe: Names the task and its files.
        folder: Folder that their paths are relative to.
        head: Labels of the checkpoint's own head, if it is kept.
        strict_labels: Whether to refuse labels of validation and test that the head does not have; else they count as
            wrong.
        find_tokens: Finds the tokenizer's added tokens in a text; each counts as one word.

    Raises:
        DataError: A file cannot be used, or the training file holds a label that the head does not have.
    """
    data, spec = recipe.data, spec_of(recipe.task)
    settings = fill(spec.settings, recipe.head, recipe.name, "head.")
    columns = data.columns()
    splits = {
        name: _kept(folder / file, spec.rows(folder / file, columns, settings, find_tokens)) if file else Rows([])
        for name in SPLITS
        for file in (getattr(data, name),)
    }
    text_only = replace(columns, label="")
    unlabelled = [row for name in data.unlabelled for row in _unlabelled(folder / name, text_only, spec)]
    pairs = (bool(columns.text_pair) or spec.input_keys is not None) and not spec.encodes_alone
    for rows in (*splits.values(), unlabelled) if pairs else ():
        _check_pairs(rows, columns, spec)
    named = recipe.vocabulary.corpus if recipe.vocabulary else ()
    limit = data.limit or None
    labels = training_task(recipe.task, recipe.head).read_labels(data, splits, folder, head)
    _check_distinct(labels.names)
    _check_metric(recipe, labels)
    if recipe.cuts_validation:
        splits |= _cut(recipe, splits["train"], folder / data.train)
    read = TaskData(
        task=recipe.task,
        train=splits["train"][:limit],
        validation=splits["validation"],
        test=splits["test"],
        unlabelled=unlabelled[:limit],
        labels=labels,
        settings=settings_dict(settings),
        fingerprints=_fingerprints(recipe, folder, splits, named),
        corpus=[row for name in named for row in _texts(folder / name, text_only)],
    )
    remedy = TRAIN_REMEDY if head is None else HEAD_REMEDY
    return replace(read, unknown=_unknown(read, splits, remedy, strict_labels))


def _cut(recipe: Recipe, rows: Rows, path: Path) -> dict[str, Rows]:
    """Split a training file into training and validation rows; report how many are held out."""
    training, share = training_task(recipe.task, recipe.head), recipe.data.validation_share
    train, held = hold_out(rows, [training.stratum(row) for row in rows], share, recipe.seed)
    if distributed.is_main():
        LOG.info(
            "%s: %d of %d rows are held out for validation and not trained on (seed %d); name a file of your own in "
            "data.validation",
            *(path, len(held), len(rows), recipe.seed),
        )
    return {"train": Rows(train), "validation": Rows(held)}


def _unlabelled(path: Path, columns: Columns, spec: TaskSpec[Any]) -> Rows:
    """Read rows without labels, by the recipe's columns or by the task's own names for its texts."""
    return _kept(path, read_texts(path, columns, spec.input_keys))


def _check_pairs(rows: Sequence[Example], columns: Columns, spec: TaskSpec[Any]) -> None:
    """Refuse single texts if the model takes pairs: its graph would get inputs unlike those it will serve.

    Raises:
        DataError: Names the first row without its second text, and the columns that hold both.
    """
    names = spec.input_keys or (columns.text, columns.text_pair)
    for row in rows:
        if row.text_pair is None:
            raise DataError(
                f"{row.place}: one text, but this model takes two; give a table or JSON Lines with the columns "
                f"{names[0]} and {names[1]}"
            )


def _texts(path: Path, columns: Columns) -> Rows:
    return _kept(path, read_examples(path, columns))


def _kept(path: Path, rows: Sequence[Example]) -> Rows:
    """Drop rows with an empty cell, and report how many."""
    kept = without_empty(path, rows)
    if kept.skipped and distributed.is_main():
        LOG.warning(note_of_skipped(path, kept))
    return kept


def read_named_data(
    recipe: Recipe,
    data_dir: Path,
    head: list[str] | None,
    strict_labels: bool,
    tokenizer: PreTrainedTokenizerFast | None = None,
) -> TaskData:
    """Read an export's data, and report labels that the head does not have or that have few rows.

    Texts are split into words around the added tokens of the checkpoint's `tokenizer`.

    Raises:
        DataError: As `read_task_data`, or the folder does not exist.
        SettingsError: The recipe names no text to check graphs on.
    """
    if not data_dir.is_dir():
        raise DataError(f"{data_dir}: no such data folder; give --data-dir")
    find_tokens = None if tokenizer is None else AddedTokens(tokenizer.backend_tokenizer).find
    data = read_task_data(recipe, data_dir, head, strict_labels, find_tokens)
    if not (data.train or data.validation or data.unlabelled):
        raise SettingsError("[data] names no file; parity and calibration need some text: name train or unlabelled")
    for split, unknown in data.unknown.items():
        if unknown.rows and distributed.is_main():
            LOG.warning(note_of(unknown, data_dir / (getattr(recipe.data, split) or recipe.data.train)))
    uneven = imbalance(data.training_task.label_counts(data.train, data.labels)) if recipe.trains else ""
    if uneven and distributed.is_main():
        LOG.warning("%s: %s", data_dir / recipe.data.train, uneven)
    return data


def _unknown(data: TaskData, splits: Mapping[str, Rows], remedy: str, strict: bool) -> dict[str, Unknown]:
    """Collect labels that the head does not have, for each held-out split.

    Raises:
        DataError: A row without a label, or a label of the training file that the head does not have.
    """
    if not (data.train or data.validation or data.unlabelled):
        return {}
    task = device_task(data.task)(data.facts(), None)
    found = {name: unknown_labels(task, rows) for name, rows in splits.items()}
    check_labels(found.pop("train"), task, remedy)
    for row in (row for rows in splits.values() for row in rows if row.label is None and task.known is not None):
        task.expected(row)
    for unknown in found.values() if strict else ():
        check_labels(unknown, task)
    return found


def _check_distinct(names: Sequence[str]) -> None:
    """Refuse two outputs with the same name, since a prediction could not tell them apart.

    Raises:
        DataError: Names both outputs.
    """
    numbers: dict[str, int] = {}
    for number, name in enumerate(names):
        if (first := numbers.setdefault(name, number)) != number:
            raise DataError(
                f"outputs {first} and {number} have the same label name {name!r:.60}; give each its own name with "
                f"--labels, in data.label_names, or in id2label of the checkpoint's config.json"
            )


def _check_metric(recipe: Recipe, labels: Labels) -> None:
    """Refuse a metric for two labels if the model has more, before any training."""
    asked = spec_of(recipe.task).metrics[recipe.metric].labels if recipe.metric else None
    if asked not in (None, len(labels.values)):
        raise SettingsError(
            f"metric is '{recipe.metric}', which is for {asked} labels, and the model has {len(labels.values)}: "
            f"{', '.join(labels.values):.80}; set it to 'macro_f1'"
        )


class EncodedRows(Dataset[dict[str, Json]]):
    """Encoded windows for a trainer; a batch is padded by `pad_batch`."""

    def __init__(self, rows: Sequence[Encoded], targets: Sequence[dict[str, Json]]) -> None:
        """Keep encoded windows and their targets."""
        self.rows = rows
        self.targets = targets

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Json]:
        """One window's ids, segment ids and targets."""
        row = self.rows[index]
        return {"input_ids": row.ids, "token_type_ids": row.type_ids, **self.targets[index]}


def encode_rows(examples: Sequence[Example], data: TaskData, encoder: TextEncoder) -> EncodedRows:
    """Encode examples exactly as the device will, unless the task trains on something else.

    Raises:
        DataError: A text holds no token.
    """
    task, training = data.device_task(encoder), data.training_task
    rows: list[Encoded] = []
    targets: list[dict[str, Json]] = []
    for example in examples:
        with example.told():
            windows = training.own_windows(task, example)
            if windows is None:
                windows = task.encode(task.given(example))
        rows += windows
        targets += training.targets(task, example, windows)
    return EncodedRows(rows, targets)


def _fingerprints(
    recipe: Recipe, folder: Path, splits: Mapping[str, Rows], corpus: Sequence[str]
) -> list[dict[str, Json]]:
    settings = recipe.data
    files = [(name, getattr(settings, name)) for name in splits if getattr(settings, name)]
    cut: dict[str, Json] = {}
    if recipe.cuts_validation:
        files.append(("validation", settings.train))
        cut = {"cut_share": settings.validation_share, "cut_seed": recipe.seed}
    files += [("unlabelled", name) for name in settings.unlabelled] + [("corpus", name) for name in corpus]
    return [
        {
            "split": split,
            "file": name,
            "rows": len(splits.get(split, ())) or None,
            "sha256": fingerprint(folder / name),
            **(cut if split in ("train", "validation") else {}),
        }
        for split, name in files
    ]
