"""Multi-label classification: any number of labels, also none, for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgebert.data.examples import Columns, Example, one_class, read_examples
from edgebert.metrics.by_label import by_chosen
from edgebert.metrics.scores import Chosen, Metric, Table, aligned
from edgebert.tasks.spec import TaskSpec


@dataclass(frozen=True)
class Settings:
    """What stands between the labels in a table's cell."""

    separator: str = ","

    def __post_init__(self) -> None:
        """Refuse a separator of nothing."""
        if not self.separator:
            raise ValueError("separator is ''; expected at least one character")


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Rows of a table, with a cell of labels joined by the separator, or of JSON Lines, with a list of labels.

    Raises:
        DataError: A list that is none, or a label that is blank, repeated or holds the separator.
    """
    json_lines = Path(path.name.removesuffix(".gz")).suffix.lower() == ".jsonl"

    def parse(value: object) -> tuple[str, ...]:
        return _distinct(_listed(value) if json_lines else _split(value, settings.separator), settings.separator)

    return read_examples(path, columns, parse)


def _listed(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list of strings")
    try:
        return [item if isinstance(item, str) else one_class(item) for item in value]
    except ValueError:
        raise ValueError("a list of strings") from None


def _split(value: object, separator: str) -> list[str]:
    cell = str(value)
    return cell.split(separator) if cell.strip() else []


def _distinct(items: list[str], separator: str) -> tuple[str, ...]:
    labels: dict[str, None] = {}  # in order, and found at once among thousands
    for label in map(str.strip, items):
        if not label:
            raise ValueError(f"labels that are not blank, with head.separator {separator!r} between them")
        if separator in label:
            raise ValueError(f"labels without head.separator {separator!r} in them, unlike {label!r}")
        if label in labels:
            raise ValueError(f"each label once, not {label!r} twice")
        labels[label] = None
    return tuple(labels)


def _by_label(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> Table:
    """For every label: was it rightly predicted, and how often it was expected or predicted."""
    right, given = aligned(expected, predicted)
    return np.hstack([right & given, right.astype(np.float64) + given])


def _over_labels(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> Table:
    """The same, summed over the labels. *Shape*: (texts, 2)."""
    found, total = np.hsplit(_by_label(expected, predicted), 2)
    return np.column_stack([found.sum(1), total.sum(1)])


def _f1(table: Table) -> float:
    """Mean F1 of the counted labels; one that is neither expected nor predicted has none and does not count."""
    found, total = np.split(table.sum(0), 2)
    occurs = total > 0
    return float(np.mean(2 * found[occurs] / total[occurs])) if occurs.any() else 0.0


def _all_right(expected: Sequence[Chosen], predicted: Sequence[Chosen]) -> Table:
    """Whether a text has just the labels that it should have. *Shape*: (texts, 1)."""
    right, given = aligned(expected, predicted)
    return np.column_stack([(right == given).all(1)]).astype(np.float64)


def _mean(table: Table) -> float:
    return float(table.mean())


def _lacks_labels(table: Table) -> str:
    return "" if table.any() else "a label"


SPEC = TaskSpec(
    name="multi-label",
    settings=Settings,
    metrics={
        "micro_f1": Metric(_over_labels, _f1, lacks=_lacks_labels),
        "macro_f1": Metric(_by_label, _f1, lacks=_lacks_labels),
        "accuracy": Metric(_all_right, _mean, right=0),
    },
    outputs={"logits": False},
    read=read,
    by_label=(by_chosen,),
)
