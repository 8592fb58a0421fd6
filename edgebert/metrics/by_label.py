"""Precision, recall, F1 and support of every label, and the most frequent confusions; only needs numpy.

Tests compare the results with scikit-learn and seqeval.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.data.tags import Span, spans
from edgebert.metrics.entities import Frame, Tags
from edgebert.metrics.scores import aligned

MOST_CONFUSIONS = 10

Counts = NDArray[np.int64]
# Maps labels, correct answers and predictions (one entry per text), and unknown labels to a breakdown.
ByLabel = Callable[[Sequence[str], Sequence[Any], Sequence[Any], Sequence[str]], "Breakdown"]


@dataclass(frozen=True)
class LabelScore:
    """Scores of one label. `support`: number of texts with this label. None: undefined, since nothing was counted."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


@dataclass(frozen=True)
class Confusion:
    """Number of texts with the label `expected` that were answered with `predicted`."""

    expected: str
    predicted: str
    count: int


@dataclass(frozen=True)
class Breakdown:
    """Scores of the labels in order, and confusions, most frequent first; None for tasks without confusions.

    `of` names the kind of label: label, entity type or intent.
    """

    of: str
    labels: tuple[LabelScore, ...]
    confusions: tuple[Confusion, ...] | None = None

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types, scores rounded to six digits; without confusions if the task has none."""
        plain: dict[str, object] = {"of": self.of, "labels": [_rounded(asdict(score)) for score in self.labels]}
        if self.confusions is not None:
            plain["confusions"] = [asdict(confusion) for confusion in self.confusions]
        return plain


def by_class(
    labels: Sequence[str], expected: Sequence[Any], predicted: Sequence[Any], unknown: Sequence[str] = ()
) -> Breakdown:
    """Break down single labels, one per text.

    Args:
        labels: Names of the labels, by number.
        expected: Correct labels: a number, or a name for a label that the model does not have.
        predicted: The predicted labels, in the same form.
        unknown: Names of the numbers after those of `labels`.
    """
    names = [*labels, *unknown]
    right = [_name(names, value) for value in expected]
    answered = [_name(names, value) for value in predicted]
    names += sorted({*right, *answered} - set(names))
    numbers = {name: at for at, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), dtype=np.int64)
    np.add.at(table, ([numbers[name] for name in right], [numbers[name] for name in answered]), 1)
    scores = _scores(names, np.diagonal(table), table.sum(0), table.sum(1))
    return Breakdown("label", scores, _confusions(names, table))


def by_chosen(
    labels: Sequence[str], expected: Sequence[Any], predicted: Sequence[Any], unknown: Sequence[str] = ()
) -> Breakdown:
    """Break down any number of labels per text. *Shape* of every entry: (labels,), bool; `unknown` labels come last."""
    right, answered = aligned(expected, predicted)
    names = [*labels, *unknown]
    names += [f"label {at}" for at in range(len(names), right.shape[1])]
    return Breakdown("label", _scores(names, (right & answered).sum(0), answered.sum(0), right.sum(0)))


def by_entity_type(
    labels: Sequence[str], expected: Sequence[Tags], predicted: Sequence[Tags], unknown: Sequence[str] = ()
) -> Breakdown:
    """Break down entities by type, counted as in seqeval: span and type must be correct.

    Args:
        labels: Tags of the model.
        expected: BIO tags of every text.
        predicted: BIO tags of every text.
        unknown: Not read; tags name their types.
    """
    wanted = [set(spans(tags)) for tags in expected]
    given = [set(spans(tags)) for tags in predicted]
    found = [one & other for one, other in zip(wanted, given, strict=True)]
    occurring = {span.label for entities in (*wanted, *given) for span in entities}
    names = sorted(occurring | {tag[2:] for tag in labels if len(tag) > 2})
    counts = [_by_type(names, entities) for entities in (found, given, wanted)]
    return Breakdown("entity type", _scores(names, *counts))


def by_intent(
    labels: Sequence[str], expected: Sequence[Frame], predicted: Sequence[Frame], unknown: Sequence[str] = ()
) -> Breakdown:
    """Break down intents, one per text; `expected` has names for intents that the model does not have."""
    names = [[intent for intent, _ in frames] for frames in (expected, predicted)]
    found = by_class(labels, *names)
    return Breakdown("intent", found.labels, found.confusions)


def by_slot_type(
    labels: Sequence[str], expected: Sequence[Frame], predicted: Sequence[Frame], unknown: Sequence[str] = ()
) -> Breakdown:
    """Break down slots by type; types that occur in no text are left out, because `labels` are intents."""
    tags = [[tags for _, tags in frames] for frames in (expected, predicted)]
    return Breakdown("slot type", by_entity_type((), tags[0], tags[1]).labels)


def _name(labels: Sequence[str], value: object) -> str:
    """Name of a label; a number beyond the labels, or any other value, stands for itself."""
    if isinstance(value, int | np.integer) and 0 <= value < len(labels):
        return labels[int(value)]
    return str(value)


def _by_type(names: Sequence[str], texts: Sequence[set[Span]]) -> Counts:
    """Number of entities of each type. *Shape*: (types,)."""
    numbers = {name: at for at, name in enumerate(names)}
    types = [numbers[span.label] for entities in texts for span in entities]
    return np.bincount(np.array(types, dtype=np.int64), minlength=len(names))


def _scores(names: Sequence[str], found: Counts, predicted: Counts, support: Counts) -> tuple[LabelScore, ...]:
    """Scores from counts. *Shape* of each: (labels,)."""
    return tuple(
        LabelScore(name, _share(right, answered), _share(right, there), _share(2 * right, answered + there), there)
        for name, right, answered, there in zip(
            names, found.tolist(), predicted.tolist(), support.tolist(), strict=True
        )
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _confusions(names: Sequence[str], table: Counts) -> tuple[Confusion, ...]:
    """The most frequent pairs of different labels. *Shape* of the table: (expected, predicted)."""
    wrong = table - np.diag(np.diagonal(table))
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    rows, columns = np.unravel_index(order, wrong.shape)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return tuple(Confusion(names[a], names[b], int(wrong[a, b])) for a, b in pairs if wrong[a, b])


def _rounded(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in fields.items()}
