"""Multi-label classification: any number of labels, or none, for a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.inputs import Text, single_or_pair
from edgebert.runtime.piped import labelled
from edgebert.runtime.plain_math import numbers_of, sigmoid
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import TextOutputs
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.multi_label.spec import SPEC, Settings

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.metrics.scores import Chosen
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Labelling(Prediction):
    """Labels above their thresholds, most likely first; all labels' probabilities; whether the text was truncated."""

    labels: tuple[str, ...]
    scores: dict[str, float]
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether the text was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """Labels and their scores, each comma-separated, with a tab between; a dash if there are none."""
        scores = [f"{self.scores[label]:.4f}" for label in self.labels]
        return f"{','.join(self.labels) or '-'}\t{','.join(scores) or '-'}"


class MultiLabel(DeviceTask[Settings, Text, Labelling]):
    """Every label has a probability by sigmoid, and a threshold."""

    spec = SPEC
    ranks_labels = True

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take labels, thresholds and number of texts from a bundle's facts."""
        super().__init__(facts, encoder)
        self.labels = list(facts.labels)
        self.thresholds = list(facts.head.thresholds)
        self.segments = facts.segments
        if len(self.thresholds) != len(self.labels):
            raise ValueError(f"head.thresholds has {len(self.thresholds)} entries for {len(self.labels)} labels")
        if odd := [threshold for threshold in self.thresholds if not 0 <= threshold <= 1]:
            raise ValueError(f"head.thresholds holds {odd[0]:g}; expected probabilities, from 0 to 1")
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

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Labelling:
        """Apply a sigmoid to the logits. *Shape*: (labels,)."""
        scores = [sigmoid(logit) for logit in numbers_of(outputs[0][0])]
        over = [at for at, threshold in enumerate(self.thresholds) if scores[at] > threshold]
        over.sort(key=lambda at: -scores[at])
        by_label = dict(zip(self.labels, scores, strict=True))
        return Labelling(tuple(self.labels[at] for at in over), by_label, windows[0].truncated)

    def piped(self, given: Text, answer: Labelling, top_k: TopK) -> Json:
        """Labels and scores in the form of transformers' `text-classification`, which ignores thresholds."""
        return labelled(answer.scores, top_k)

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
        """The labels that the row has. *Shape*: (labels,), with those of `unknown` after the bundle's own.

        Raises:
            DataError: A row has no label column, or a label that is neither the bundle's nor in `unknown`.
        """
        import numpy as np

        from edgebert.data.examples import listed

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
        """The predicted labels. *Shape*: (labels,)."""
        import numpy as np

        return np.array([label in prediction.labels for label in self.labels], dtype=np.bool_)
