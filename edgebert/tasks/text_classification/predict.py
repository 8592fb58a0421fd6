"""Text classification: one label for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.inputs import Text, single_or_pair
from edgebert.runtime.piped import labelled
from edgebert.runtime.plain_math import argmax, numbers_of, softmax
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import TextOutputs
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.text_classification.spec import SPEC, Settings

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json


@dataclass(frozen=True)
class Classification(Prediction):
    """The most likely label, its probability, all labels' probabilities, and whether the text was truncated.

    If the bundle has no softmax, the head's outputs replace probabilities.
    """

    label: str
    score: float
    scores: dict[str, float]
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether the text was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """Label and score, tab-separated."""
        return f"{self.label}\t{self.score:.4f}"


class TextClassification(DeviceTask[Settings, Text, Classification]):
    """Probabilities by softmax over the labels, or the head's raw outputs."""

    spec = SPEC
    ranks_labels = True

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take labels and number of texts from a bundle's facts."""
        super().__init__(facts, encoder)
        self.labels = list(facts.labels)
        self.segments = facts.segments
        # A data file may use the labels of the training data or the bundle's names.
        self._numbers = {name: index for index, name in enumerate(self.labels)}
        self._numbers |= {value: index for index, value in enumerate(facts.label_values)}

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (len(self.labels),)

    def encode(self, given: Text) -> list[Encoded]:
        """One window; a text that is too long is truncated."""
        given = single_or_pair(self.segments, given)
        return [self.encoder.encode_pair(*given) if isinstance(given, tuple) else self.encoder.encode(given)]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Classification:
        """Compute scores from the logits. *Shape*: (labels,)."""
        logits = numbers_of(outputs[0][0])
        scores = logits if self.settings.activation == "none" else softmax(logits)
        best = argmax(logits)
        by_label = dict(zip(self.labels, scores, strict=True))
        return Classification(self.labels[best], scores[best], by_label, windows[0].truncated)

    def piped(self, given: Text, answer: Classification, top_k: TopK) -> Json:
        """The label and its score in the form of transformers' `text-classification`."""
        return labelled(answer.scores, top_k)

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
        """Number of the row's label; labels in `unknown` are numbered after the bundle's own.

        Raises:
            DataError: The row has no label, or one that is neither the bundle's nor in `unknown`.
        """
        from edgebert.data.examples import listed

        if example.label in self._numbers:
            return self._numbers[example.label]
        if example.label in unknown:
            return len(self.labels) + unknown.index(example.label)
        fact = "no label" if example.label is None else f"unknown label {example.label!r}"
        raise DataError(f"{example.place}: {fact}; expected one of: {listed(self.labels)}")

    def predicted(self, prediction: Classification) -> int:
        """Number of the predicted label."""
        return self.labels.index(prediction.label)
