"""Multi-label classification: any number of labels, also none, for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgebert.data.examples import Columns, Example, listed, one_class, read_examples
from edgebert.errors import DataError
from edgebert.metrics.by_label import by_chosen
from edgebert.metrics.scores import Chosen, Metric, Table, aligned
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Text, single_or_pair
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Outputs

DEFAULT_THRESHOLD = 0.5


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


METRICS = {
    "micro_f1": Metric(_over_labels, _f1, lacks=_lacks_labels),
    "macro_f1": Metric(_by_label, _f1, lacks=_lacks_labels),
    "accuracy": Metric(_all_right, _mean, right=0),
}
BY_LABEL = (by_chosen,)


@dataclass(frozen=True)
class Settings:
    """What stands between the labels in a table's cell."""

    separator: str = ","

    def __post_init__(self) -> None:
        """Refuse a separator of nothing."""
        if not self.separator:
            raise ValueError("separator is ''; expected at least one character")


@dataclass(frozen=True)
class Labelling(Prediction):
    """Labels over their thresholds, likeliest first; every label's probability; whether the text was cut short."""

    labels: tuple[str, ...]
    scores: dict[str, float]
    truncated: bool

    def __str__(self) -> str:
        """Labels and their scores, comma-separated, with a tab between; a dash where there is none."""
        scores = [f"{self.scores[label]:.4f}" for label in self.labels]
        return f"{','.join(self.labels) or '-'}\t{','.join(scores) or '-'}"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Rows of a table, with a cell of labels joined by the separator, or of JSON Lines, with a list of labels.

    Raises:
        DataError: A list that is none, or a label that is blank, repeated or holds the separator.
    """
    json_lines = Path(path.name.removesuffix(".gz")).suffix.lower() == ".jsonl"

    def parse(value: object) -> tuple[str, ...]:
        return _distinct(_listed(value) if json_lines else _split(value, settings.separator), settings.separator)

    return read_examples(path, columns, parse)


class MultiLabel:
    """A probability by sigmoid for every label, and a threshold for each."""

    OUTPUTS: ClassVar[Mapping[str, bool]] = {"logits": False}

    def __init__(self, manifest: dict[str, Any], encoder: TextEncoder) -> None:
        """Take labels, thresholds and number of texts from a manifest."""
        self.labels: list[str] = manifest["labels"]
        self.thresholds: list[float] = manifest["head"].get("thresholds", [])
        self.segments: int = manifest["segments"]
        if len(self.thresholds) != len(self.labels):
            raise ValueError(f"head.thresholds has {len(self.thresholds)} entries for {len(self.labels)} labels")
        if odd := [threshold for threshold in self.thresholds if not 0 <= threshold <= 1]:
            raise ValueError(f"head.thresholds holds {odd[0]:g}; expected probabilities, from 0 to 1")
        self._encoder = encoder
        # A data file gives labels as the training data wrote them or as the bundle names them.
        self._numbers = {name: index for index, name in enumerate(self.labels)}
        self._numbers |= {value: index for index, value in enumerate(manifest["data"].get("label_values", []))}

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (len(self.labels),)

    def encode(self, given: Text) -> list[Encoded]:
        """One window, cut where the text is too long."""
        given = single_or_pair(self.segments, given)
        return [self._encoder.encode_pair(*given) if isinstance(given, tuple) else self._encoder.encode(given)]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[Outputs]) -> Labelling:
        """Sigmoid of the logits. *Shape* of them: (labels,)."""
        logits = outputs[0][0].astype(np.float64)
        scores = np.exp(-np.logaddexp(0.0, -logits)).tolist()
        over = [at for at, threshold in enumerate(self.thresholds) if scores[at] > threshold]
        over.sort(key=lambda at: -scores[at])
        by_label = dict(zip(self.labels, scores, strict=True))
        return Labelling(tuple(self.labels[at] for at in over), by_label, windows[0].truncated)

    def given(self, example: Example) -> Text:
        """The row's text, or its two texts."""
        return example.text if example.text_pair is None else (example.text, example.text_pair)

    @property
    def known(self) -> list[str]:
        """Labels that a data file may have, as the bundle names them."""
        return self.labels

    def unknown(self, example: Example) -> list[str]:
        """The row's labels that the bundle does not have."""
        return [label for label in example.label or () if label not in self._numbers]

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> Chosen:
        """Which labels the row has. *Shape*: (labels,), with those of `unknown` after the bundle's own.

        Raises:
            DataError: A row without a label column, or a label that is neither the bundle's nor `unknown`.
        """
        known = listed(self.labels)
        if example.label is None:
            raise DataError(f"{example.place}: no labels; expected any of: {known}")
        numbers = {label: at for at, label in enumerate(unknown, len(self.labels))} | self._numbers
        chosen = np.zeros(len(self.labels) + len(unknown), dtype=np.bool_)
        for label in example.label:
            if label not in numbers:
                raise DataError(f"{example.place}: unknown label {label!r}; expected any of: {known}")
            chosen[numbers[label]] = True
        return chosen

    def predicted(self, prediction: Labelling) -> Chosen:
        """Which labels were predicted. *Shape*: (labels,)."""
        return np.array([label in prediction.labels for label in self.labels], dtype=np.bool_)


def _listed(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("a list of strings")
    try:
        return [one_class(item) for item in value]
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


TASK = MultiLabel
