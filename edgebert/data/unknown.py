"""Labels of a data file that a model does not have: counted as wrong and reported, or refused on request.

As in seqeval and scikit-learn, an entity of an unknown type is missed, and an unknown class is never predicted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypedDict

from edgebert.data.examples import Example, listed
from edgebert.errors import DataError

REMEDY = "correct the file, or leave --strict-labels out to count them as wrong"
SHOWN = 5
KEPT = 20
# Metrics and confusions need memory for each. A column of numbers or texts that is read as labels has far more.
MAX_UNKNOWN = 1_000


class Labelled(Protocol):
    """The part of a task that concerns labels of data files (`edgebert.tasks.device.DeviceTask`)."""

    @property
    def known(self) -> list[str] | None:
        """Labels that a data file may have; None for a task without labels."""
        ...

    def unknown(self, example: Example) -> list[str]:
        """Labels of a row that the model does not have."""
        ...

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> object:
        """The correct answer for a row, in the form that the metrics compare."""
        ...


class UnknownRow(TypedDict):
    """Unknown labels in results and manifests; see `Unknown.as_dict`."""

    rows: int
    labels: dict[str, int]
    more: int


@dataclass(frozen=True)
class Unknown:
    """Labels that a model does not have, most frequent first, each with its number of rows.

    `rows` of the file's `n` rows have at least one of them; `first` is the location of the first.
    """

    labels: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    n: int = 0
    first: str = ""

    def as_dict(self) -> UnknownRow:
        """Return the number of rows, the 20 most frequent labels, and the number of other labels."""
        kept = dict(list(self.labels.items())[:KEPT])
        return {"rows": self.rows, "labels": kept, "more": len(self.labels) - len(kept)}

    def __str__(self) -> str:
        """Count the rows and name the first labels."""
        return sentence(self.labels, 0, self.rows, self.n)


def sentence(labels: Mapping[str, int], more: int, rows: int, n: int) -> str:
    """Say how many of `n` rows have unknown labels, and name the first ones; `more` is the number not in `labels`."""
    names = [f"{label!r:.60} ({count})" for label, count in labels.items()]
    hidden, one = max(0, len(names) - SHOWN) + more, len(names) + more == 1
    rest = f" and {hidden} more" if hidden else ""
    return (
        f"{rows} of {n} row{'s' * (n != 1)} {'has' if rows == 1 else 'have'} {'a label' if one else 'labels'} "
        f"that the model does not have: {', '.join(names[:SHOWN])}{rest}"
    )


def unknown_labels(task: Labelled, examples: Sequence[Example]) -> Unknown:
    """Find labels of rows that a task does not have; none for a task without labels.

    Raises:
        DataError: There are so many that the column is probably not the label column.
    """
    several = [set(task.unknown(example)) for example in examples]
    counts = Counter(sorted(label for labels in several for label in labels))
    first = next((example.place for example, labels in zip(examples, several, strict=True) if labels), "")
    if len(counts) > MAX_UNKNOWN:
        raise DataError(
            f"{first}: {len(counts)} different labels that the model does not have, in {len(examples)} rows, the first "
            f"{next(iter(counts))!r:.60}; at most {MAX_UNKNOWN} are counted as wrong, so name the column of the labels"
        )
    return Unknown(dict(counts.most_common()), sum(map(bool, several)), len(examples), first)


def gold(task: Labelled, examples: Sequence[Example]) -> tuple[list[object], Unknown]:
    """The correct answer of every row, in the form that the metrics compare, and the unknown labels.

    Raises:
        DataError: A row has no label.
    """
    unknown = unknown_labels(task, examples)
    counted = tuple(unknown.labels)
    return [task.expected(example, counted) for example in examples], unknown


def check_labels(unknown: Unknown, task: Labelled, remedy: str = REMEDY) -> None:
    """Refuse a file with labels that a task does not have.

    Raises:
        DataError: Names the file, the first line, labels and counts, and the task's labels.
    """
    if unknown.rows:
        raise DataError(f"{unknown.first}: {unknown} (it has {listed(task.known or [])}); {remedy}")


def note_of(unknown: Unknown, path: Path) -> str:
    """The message on stderr about such labels; "" if there are none."""
    return f"{path}: {unknown}; they count as wrong, --strict-labels refuses them" if unknown.rows else ""
