"""Text classification: one label for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from edgebert.data.examples import Columns, Example, listed, read_examples
from edgebert.errors import DataError
from edgebert.metrics import scores
from edgebert.metrics.by_label import by_class
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Text, single_or_pair
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Outputs
from edgebert.settings import fill

METRICS = {
    "accuracy": scores.ACCURACY,
    "f1": scores.F1,
    "macro_f1": scores.MACRO_F1,
    "matthews": scores.MATTHEWS,
}
BY_LABEL = (by_class,)


@dataclass(frozen=True)
class Settings:
    """How scores are read from the head's outputs.

    `activation`: softmax for probabilities, none for the outputs themselves, as most cross-encoders give them.
    """

    activation: Literal["softmax", "none"] = "softmax"


@dataclass(frozen=True)
class Classification(Prediction):
    """The likeliest label, its probability, every label's probability, and whether the text was cut short.

    Where the bundle has no softmax, outputs of the head stand in the place of probabilities.
    """

    label: str
    score: float
    scores: dict[str, float]
    truncated: bool

    def __str__(self) -> str:
        """Label and score, tab-separated."""
        return f"{self.label}\t{self.score:.4f}"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Rows of a table or JSON Lines; the label is a string, in JSON perhaps an integer.

    Raises:
        DataError: A blank label, or two that differ in white space at an end alone.
    """
    rows = read_examples(path, columns)
    written: dict[str, str] = {}
    for row in rows:
        if row.label is not None and written.setdefault(row.label.strip(), row.label) != row.label:
            other = written[row.label.strip()]
            raise DataError(f"{row.place}: the label {row.label!r:.60} is also written {other!r:.60}; write it one way")
    return rows


class TextClassification:
    """Probabilities by softmax over the labels, or the head's outputs as they are."""

    OUTPUTS: ClassVar[Mapping[str, bool]] = {"logits": False}

    def __init__(self, manifest: dict[str, Any], encoder: TextEncoder) -> None:
        """Take labels and number of texts from a manifest."""
        self.labels: list[str] = manifest["labels"]
        self.segments: int = manifest["segments"]
        self.settings = fill(Settings, manifest["head"].get("settings", {}), "manifest.json")
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

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[Outputs]) -> Classification:
        """Scores of the logits. *Shape* of them: (labels,)."""
        logits = outputs[0][0]
        exponentials = np.exp(logits - logits.max())
        as_they_are = self.settings.activation == "none"
        scores = (logits if as_they_are else exponentials / exponentials.sum()).tolist()
        best = int(logits.argmax())
        by_label = dict(zip(self.labels, scores, strict=True))
        return Classification(self.labels[best], scores[best], by_label, windows[0].truncated)

    def given(self, example: Example) -> Text:
        """The row's text, or its two texts."""
        return example.text if example.text_pair is None else (example.text, example.text_pair)

    @property
    def known(self) -> list[str]:
        """Labels that a data file may have, as the bundle names them."""
        return self.labels

    def unknown(self, example: Example) -> list[str]:
        """The row's label if the bundle does not have it."""
        return [] if example.label is None or example.label in self._numbers else [example.label]

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> int:
        """Number of the row's label; those of `unknown` come after the bundle's own.

        Raises:
            DataError: A row without a label, or one that is neither the bundle's nor `unknown`.
        """
        if example.label in self._numbers:
            return self._numbers[example.label]
        if example.label in unknown:
            return len(self.labels) + unknown.index(example.label)
        fact = "no label" if example.label is None else f"unknown label {example.label!r}"
        raise DataError(f"{example.place}: {fact}; expected one of: {listed(self.labels)}")

    def predicted(self, prediction: Classification) -> int:
        """Number of the predicted label."""
        return self.labels.index(prediction.label)


TASK = TextClassification
