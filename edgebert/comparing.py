"""Does a bundle answer as the checkpoint it was made from? The checkpoint runs in the library that made it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.compress.head_tags import written_plainly
from edgebert.compress.model_folder import check_described
from edgebert.compress.neutral_texts import neutral_rows
from edgebert.compress.progress import end_bars, progress
from edgebert.compress.sentence_folder import encoder_folder
from edgebert.compress.source import resolve
from edgebert.compress.source_model import CLASSES, SourceModel, open_source
from edgebert.compress.weight_files import check_weights
from edgebert.data.examples import Example
from edgebert.errors import InputError, TextError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.model import Model
from edgebert.runtime.session import Outputs

BY_TOKEN = ("fill-mask", "question-answering", "token-classification")


@dataclass(frozen=True)
class Difference:
    """What one text gave: None where the two have no outputs of one shape, since their token ids differ.

    `distance` is 1 minus the cosine of two vectors, for a task that gives vectors; NaN for others.
    """

    place: str
    text: str
    same_ids: bool | None
    same_label: bool | None
    largest: float | None
    mean: float | None
    distance: float


@dataclass(frozen=True)
class Comparison:
    """How far a bundle's outputs lie from its checkpoint's.

    Attributes:
        source: The library, its version and its class.
        precision: The bundle's.
        inputs: Number of inputs: texts, pairs, or the windows of long ones.
        other_ids: Inputs whose token ids differ; None if the library was not asked for ids.
        same_labels: Share of inputs with the same likeliest outputs, at every token where each has some; None for
            vectors and single scores.
        largest: Largest difference of any output, before activations; for vectors, of any of their numbers.
        mean: Mean difference.
        distance: Mean of 1 minus cosine, and `largest_distance` its largest; None but for vectors.
        worst: The text behind `largest`, and where it stands.
        renamed: Outputs that the two name otherwise: the number, the bundle's name, the checkpoint's.
    """

    source: str
    precision: str
    inputs: int
    other_ids: int | None
    same_labels: float | None
    largest: float
    mean: float
    distance: float | None
    largest_distance: float | None
    worst: tuple[str, str]
    renamed: tuple[tuple[int, str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as `edgebert compare --json` writes them."""
        return asdict(self) | {"worst": {"place": self.worst[0], "text": self.worst[1]}}


def open_checkpoint(source: str, model: Model) -> tuple[Path, SourceModel]:
    """The checkpoint's folder, and the checkpoint in the library that made it.

    Raises:
        CheckpointError: There is none, or the library does not load it.
        SettingsError: No library has the bundle's task.
    """
    folder = resolve(source)
    encoder = encoder_folder(folder)
    check_described(encoder)
    check_weights(encoder)
    task, length = model.manifest.task, model.manifest.max_length
    return encoder, open_source(folder if task not in CLASSES else encoder, task, length)


def own_rows(encoder: Path, model: Model) -> list[Example]:
    """Neutral sentences that the bundle takes, where no texts are given."""
    rows = enumerate(neutral_rows(encoder, pairs=model.manifest.segments == 2), 1)
    found = [Example(row["text"], row.get("text_pair"), None, number, "EdgeBERT's sentences") for number, row in rows]
    return [row for row in found if _takes(model, row)]


def _takes(model: Model, row: Example) -> bool:
    """Whether a row is not too long for the bundle: a question must leave room for a part of its context."""
    try:
        return bool(model.task.encode(model.task.given(row)))
    except TextError:
        return False


def compare(model: Model, source: SourceModel, rows: Sequence[Example]) -> Comparison:
    """Answer every row by both, one text at a time.

    Raises:
        InputError: No row can be compared: all have other token ids.
        TextError: A row that the bundle does not take.
    """
    bar = progress(rows, desc="comparing", unit="text")
    try:
        found = [difference for row in bar for difference in _differences(model, source, row)]
    finally:
        end_bars()
    measured = [each for each in found if each.largest is not None]
    if not measured:
        raise InputError(
            f"{rows[0].source}: none of {len(found)} texts has the checkpoint's token ids, so no outputs can be "
            "compared; is this the checkpoint that the bundle was made from?"
        )
    worst = max(measured, key=lambda each: each.largest or 0.0)
    ids = [each.same_ids for each in found if each.same_ids is not None]
    labels = [each.same_label for each in measured if each.same_label is not None]
    distances = [each.distance for each in measured if not math.isnan(each.distance)]
    return Comparison(
        source.name,
        model.manifest.precision,
        len(found),
        ids.count(False) if ids else None,
        round(sum(labels) / len(labels), 6) if labels else None,
        worst.largest or 0.0,
        sum(each.mean or 0.0 for each in measured) / len(measured),
        sum(distances) / len(distances) if distances else None,
        max(distances) if distances else None,
        (worst.place, worst.text),
        _renamed(model, source),
    )


def _renamed(model: Model, source: SourceModel) -> tuple[tuple[int, str, str], ...]:
    """Outputs of other names; tags are compared as the bundle writes them."""
    theirs = list(source.labels)
    if model.manifest.task == "token-classification":
        theirs = written_plainly(theirs, {}, str(model.manifest.head.settings.get("scheme", "")))
    names = zip(model.labels, theirs, strict=False)
    return tuple((at, ours, other) for at, (ours, other) in enumerate(names) if ours != other)


def _differences(model: Model, source: SourceModel, row: Example) -> Iterator[Difference]:
    """Of every input of a row: one, or both of its texts where each is an input of its own."""
    task = model.manifest.task
    with row.told():
        given = model.task.given(row)
        windows = model.task.encode(given)
    if task == "similarity":
        texts: list[tuple[str, ...]] = [(row.text,)] if row.text_pair is None else [(row.text,), (row.text_pair,)]
    else:
        texts = [(row.text,) if row.text_pair is None else (row.text, row.text_pair)]
    if task == "fill-mask" or (len(windows) > len(texts)):
        yield from (_of_ids(model, source, row, window) for window in windows)
        return
    for text, window in zip(texts, windows, strict=True):
        theirs = source.answer(text)
        same = None if theirs.ids is None else list(theirs.ids) == list(window.ids)
        if same is False and task in BY_TOKEN:
            yield Difference(row.place, text[0], same, None, None, None, math.nan)
        else:
            yield _difference(row.place, text[0], same, model.outputs([window])[0], theirs.outputs)


def _of_ids(model: Model, source: SourceModel, row: Example, window: Encoded) -> Difference:
    return _difference(row.place, row.text, None, model.outputs([window])[0], source.answer_ids(window))


def _difference(place: str, text: str, same_ids: bool | None, ours: Outputs, theirs: Outputs) -> Difference:
    """Of outputs of the same shape. *Shape* of each: any, the last axis over labels, tokens or numbers of a vector."""
    for one, other in zip(ours, theirs, strict=True):
        if one.shape != other.shape:
            raise InputError(
                f"{place}: the bundle answers {' x '.join(map(str, one.shape))} numbers, the checkpoint "
                f"{' x '.join(map(str, other.shape))}; give the checkpoint that the bundle was made from"
            )
    gaps = np.concatenate([np.abs(a - b).ravel() for a, b in zip(ours, theirs, strict=True)])
    several = all(output.shape[-1] > 1 for output in theirs)
    same = all(bool((a.argmax(-1) == b.argmax(-1)).all()) for a, b in zip(ours, theirs, strict=True))
    distance = math.nan
    if same_ids is None and len(theirs) == 1 and theirs[0].ndim == 1:
        one, other = ours[0].astype(np.float64), theirs[0].astype(np.float64)
        distance = 1.0 - float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
        several = False
    label = same if several else None
    return Difference(place, text, same_ids, label, float(gaps.max()), float(gaps.mean()), distance)
