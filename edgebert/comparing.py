"""Compare a bundle's outputs with its checkpoint's. The checkpoint runs in the library that made it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebert.compress.cross_encoder import counts_settings
from edgebert.compress.head_tags import written_plainly
from edgebert.compress.model_folder import check_described
from edgebert.compress.neutral_texts import neutral_rows
from edgebert.compress.progress import end_bars, progress
from edgebert.compress.sentence_folder import MODULES, encoder_folder, lower_cases, read_sentence_folder
from edgebert.compress.source import resolve
from edgebert.compress.source_model import CLASSES, Sentences, Transformers, open_source
from edgebert.compress.vector_modules import load_vector_modules
from edgebert.compress.weight_files import check_weights
from edgebert.data.examples import Example
from edgebert.errors import CheckpointError, InputError, TextError
from edgebert.manifest import Manifest
from edgebert.runtime.model import Model
from edgebert.runtime.session import Outputs
from edgebert.strict_json import Json
from edgebert.workdir import LOWER_CASED, source_hash

# The library that runs a checkpoint.
Source = Transformers | Sentences
BY_TOKEN = ("fill-mask", "question-answering", "token-classification")


@dataclass(frozen=True)
class Difference:
    """Differences for one text; None if the two have different token ids, and so no outputs to compare.

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
    """How much a bundle's outputs differ from its checkpoint's.

    Attributes:
        source: The library that ran the checkpoint, with its version and class.
        precision: The bundle's.
        inputs: Number of inputs: texts, pairs, or the windows of long ones; both texts of a pair if they are separate.
        rows: Number of texts or pairs that the inputs come from.
        other_ids: Number of inputs whose token ids differ; None if the library was not asked for ids.
        same_labels: Share of inputs with the same most likely output (at every token, for tags); None for vectors and
            single scores.
        largest: Largest difference of any output before activations, or of any dimension of a vector.
        mean: Mean difference.
        distance: Mean of 1 minus cosine (`largest_distance` is the maximum); None except for vectors.
        worst: The text with the difference `largest`, and its location.
        renamed: Outputs with different names: index, name in the bundle, name in the checkpoint.
    """

    source: str
    precision: str
    inputs: int
    rows: int
    other_ids: int | None
    same_labels: float | None
    largest: float
    mean: float
    distance: float | None
    largest_distance: float | None
    worst: tuple[str, str]
    renamed: tuple[tuple[int, str, str], ...] = ()

    def to_dict(self) -> dict[str, Json]:
        """Plain values, as `edgebert compare --json` writes them."""
        return asdict(self) | {"worst": {"place": self.worst[0], "text": self.worst[1]}}


def open_checkpoint(source: str, model: Model) -> tuple[Path, Source]:
    """Return the checkpoint's folder, and the checkpoint opened by the library that made it.

    Raises:
        CheckpointError: There is none, or the library does not load it.
        SettingsError: No library has the bundle's task.
    """
    folder = resolve(source)
    encoder = encoder_folder(folder)
    check_described(encoder)
    check_weights(encoder)
    task, length = model.manifest.task, model.manifest.max_length
    return encoder, open_source(folder, encoder, task, length)


def has_library(source: str, task: str) -> bool:
    """Whether a library can run the checkpoint for a task: no library knows how a bare encoder pools its tokens."""
    return task in CLASSES or (task == "similarity" and (resolve(source) / MODULES).is_file())


def unlike_source(source: str, manifest: Manifest) -> str:
    """Say that a checkpoint is not the one that the manifest names, by its hash; "" if it is, or if that is not known.

    Prompts are no part of the hash, so they are compared. A folder that EdgeBERT would not read is another one.
    """
    base, folder, settings = manifest.base_model, resolve(source), manifest.head.settings
    if not base.sha256:
        return ""
    another = f"is not the checkpoint that the bundle was made from ({base.source:.80}, by the manifest's hash)"
    encoder, added = encoder_folder(folder), ""
    try:
        found = read_sentence_folder(folder) if manifest.task == "similarity" else None
        if found is not None and found.steps:
            added = load_vector_modules(str(settings.get("pooling")), found.steps, found.places).sha256()
    except CheckpointError:
        return another
    added += LOWER_CASED * (counts_settings(folder, manifest.task) and lower_cases(encoder))
    if source_hash(encoder, added) != base.sha256:
        return another
    prompts = (settings.get("prompts", {}), settings.get("default_prompt", ""))
    if found is None or (found.prompts, found.default_prompt) == prompts:
        return ""
    return "its prompts, or the default one, are not those of the bundle (edgebert inspect shows them)"


def own_rows(encoder: Path, model: Model) -> list[Example]:
    """Return neutral sentences that fit the bundle, used when no texts are given."""
    rows = enumerate(neutral_rows(encoder, pairs=model.manifest.segments == 2), 1)
    found = [Example(row["text"], row.get("text_pair"), None, number, "EdgeBERT's sentences") for number, row in rows]
    return [row for row in found if _takes(model, row)]


def _takes(model: Model, row: Example) -> bool:
    """Whether a row fits the bundle: a question must leave room for part of its context."""
    try:
        return bool(model.task.encode(model.task.given(row)))
    except TextError:
        return False


def compare(model: Model, source: Source, rows: Sequence[Example]) -> Comparison:
    """Run every row through both models, one text at a time.

    Raises:
        InputError: No row can be compared, since all have different token ids.
        TextError: The bundle refuses a row.
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
        len(rows),
        ids.count(False) if ids else None,
        round(sum(labels) / len(labels), 6) if labels else None,
        worst.largest or 0.0,
        sum(each.mean or 0.0 for each in measured) / len(measured),
        sum(distances) / len(distances) if distances else None,
        max(distances) if distances else None,
        (worst.place, worst.text),
        _renamed(model, source),
    )


def _renamed(model: Model, source: Source) -> tuple[tuple[int, str, str], ...]:
    """List outputs with different names; tags are compared as the bundle writes them."""
    theirs = list(source.labels)
    if model.manifest.task == "token-classification":
        theirs = written_plainly(theirs, {}, str(model.manifest.head.settings.get("scheme", "")))
    names = zip(model.labels, theirs, strict=False)
    return tuple((at, ours, other) for at, (ours, other) in enumerate(names) if ours != other)


def _differences(model: Model, source: Source, row: Example) -> Iterator[Difference]:
    """Compare every input of a row: one input, its windows, or each of its two texts if they are separate inputs."""
    with row.told():
        windows = model.task.encode(model.task.given(row))
    texts = (row.text,) if row.text_pair is None else (row.text, row.text_pair)
    if isinstance(source, Sentences):
        for text, window in zip(texts, windows, strict=True):
            yield _of_vectors(row.place, text, model.outputs([window])[0], source.vector(text))
    elif model.manifest.task == "fill-mask" or len(windows) > 1:
        # Only the bundle knows what the task hides, and how it splits a long text.
        for window in windows:
            yield _of_labels(row, None, model.outputs([window])[0], source.answer_ids(window))
    else:
        ids, theirs = source.answer(texts)
        same = ids == list(windows[0].ids)
        if not same and model.manifest.task in BY_TOKEN:
            yield Difference(row.place, row.text, same, None, None, None, math.nan)
        else:
            yield _of_labels(row, same, model.outputs(windows)[0], theirs)


def _of_vectors(place: str, text: str, ours: Outputs, theirs: NDArray[np.float32]) -> Difference:
    """Compare two vectors. *Shape* of each: (width,)."""
    gaps = _gaps(place, ours, (theirs,))
    one, other = ours[0].astype(np.float64), theirs.astype(np.float64)
    distance = 1.0 - float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return Difference(place, text, None, None, float(gaps.max()), float(gaps.mean()), distance)


def _of_labels(row: Example, same_ids: bool | None, ours: Outputs, theirs: Outputs) -> Difference:
    """Compare outputs whose last axis is labels or tokens; a single score has no most likely label."""
    gaps = _gaps(row.place, ours, theirs)
    label = None
    if all(output.shape[-1] > 1 for output in theirs):
        label = all(bool((a.argmax(-1) == b.argmax(-1)).all()) for a, b in zip(ours, theirs, strict=True))
    return Difference(row.place, row.text, same_ids, label, float(gaps.max()), float(gaps.mean()), math.nan)


def _gaps(place: str, ours: Outputs, theirs: Outputs) -> NDArray[np.float32]:
    """Return the differences of all outputs in one flat array.

    Raises:
        InputError: The outputs have different shapes.
    """
    for one, other in zip(ours, theirs, strict=True):
        if one.shape != other.shape:
            raise InputError(
                f"{place}: the bundle outputs {' x '.join(map(str, one.shape))} numbers, the checkpoint "
                f"{' x '.join(map(str, other.shape))}; give the checkpoint that the bundle was made from"
            )
    return np.concatenate([np.abs(a - b).ravel() for a, b in zip(ours, theirs, strict=True)])
