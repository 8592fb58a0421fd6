"""Regression: a score for a text, or for a pair of texts as in a cross-encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.errors import DataError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.inputs import Text, single_or_pair
from edgebert.runtime.piped import labelled
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import TextOutputs
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.regression.spec import SPEC, Settings

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json

# A score at an end of the range would need an infinite output before a sigmoid.
SMALLEST = 1e-6


@dataclass(frozen=True)
class Score(Prediction):
    """The score within its range, and whether the text was truncated."""

    score: float
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether the text was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """The score."""
        return f"{self.score:.4f}"


class Regression(DeviceTask[Settings, Text, Score]):
    """A score from the head's one output."""

    spec = SPEC
    ranks_labels = True

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take the range of the scores and the number of texts from a bundle's facts."""
        super().__init__(facts, encoder)
        self.segments = facts.segments

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (1,)

    def encode(self, given: Text) -> list[Encoded]:
        """One window; a text that is too long is truncated."""
        given = single_or_pair(self.segments, given)
        return [self.encoder.encode_pair(*given) if isinstance(given, tuple) else self.encoder.encode(given)]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Score:
        """Scale the output to the caller's units, and clip it if `clip` is set. *Shape* of the output: (1,)."""
        score = self.score(float(outputs[0][0][0]))
        low, high = self.settings.low, self.settings.high
        return Score(min(max(score, low), high) if self.settings.clip else score, windows[0].truncated)

    def score(self, value: float) -> float:
        """Score for an output, without clipping."""
        if self.settings.activation == "sigmoid":
            value = 0.5 * (1.0 + math.tanh(0.5 * value))  # does not overflow
        low, high = self.settings.low, self.settings.high
        return value if self.settings.output == "score" else low + value * (high - low)

    def piped(self, given: Text, answer: Score, top_k: TopK) -> Json:
        """The score, with transformers' name for a head's only output."""
        return labelled({"LABEL_0": answer.score}, top_k)

    def given(self, example: Example) -> Text:
        """The row's text, or its two texts."""
        return example.text if example.text_pair is None else (example.text, example.text_pair)

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> float:
        """The row's score.

        Raises:
            DataError: The row has no score.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no score; expected a number from {self.settings.range}")
        return float(example.label)

    def output(self, score: float) -> float:
        """The head's output for a score."""
        low, high = self.settings.low, self.settings.high
        value = score if self.settings.output == "score" else (score - low) / (high - low)
        if self.settings.activation == "none":
            return value
        inside = min(max(value, SMALLEST), 1.0 - SMALLEST)
        return math.log(inside / (1.0 - inside))

    def predicted(self, prediction: Score) -> float:
        """The predicted score."""
        return prediction.score

    @property
    def score_range(self) -> str:
        """The range of the scores."""
        return self.settings.range
