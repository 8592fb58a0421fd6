"""Regression: a score for a text or, as a cross-encoder gives it, for a pair of texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from edgebert.data.examples import Columns, Example, read_examples
from edgebert.errors import DataError
from edgebert.metrics import scores
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Text, single_or_pair
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Outputs
from edgebert.settings import within

# A score at an end of the range would need an infinite output under a sigmoid.
SMALLEST = 1e-6
METRICS = {"spearman": scores.SPEARMAN, "pearson": scores.PEARSON}


@dataclass(frozen=True)
class Settings:
    """The range of the scores, and how they are read from the head's one output.

    Attributes:
        low: Lowest score.
        high: Highest score.
        output: What the output is, behind the activation: a score scaled to 0..1, or the score itself.
        activation: What is put over the output first, as cross-encoders have it.
        clip: Whether scores beyond the range become its ends.
    """

    low: float = within(0.0, -1e9, 1e9)
    high: float = within(1.0, -1e9, 1e9)
    output: Literal["scaled", "score"] = "scaled"
    activation: Literal["none", "sigmoid"] = "none"
    clip: bool = True

    def __post_init__(self) -> None:
        """Refuse a range of nothing."""
        if not self.low < self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}; expected low below high")

    @property
    def range(self) -> str:
        """The range of the scores, for messages."""
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Score(Prediction):
    """The score, inside the range, and whether the text was cut short."""

    score: float
    truncated: bool

    def __str__(self) -> str:
        """The score."""
        return f"{self.score:.4f}"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Rows of a table or JSON Lines; the label is a number of the range.

    Raises:
        DataError: A score that is not a finite number, or lies outside the range.
    """

    def parse(value: object) -> float:
        number = _number(value)
        if number is None or not settings.low <= number <= settings.high:
            raise ValueError(f"a number from {settings.range} (head.low to head.high)")
        return number

    return read_examples(path, columns, parse)


class Regression:
    """A score from the head's one output."""

    OUTPUTS: ClassVar[Mapping[str, bool]] = {"logits": False}

    def __init__(self, manifest: dict[str, Any], encoder: TextEncoder) -> None:
        """Take the range of the scores and the number of texts from a manifest."""
        self.settings = Settings(**manifest["head"]["settings"])
        self.segments: int = manifest["segments"]
        self._encoder = encoder

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (1,)

    def encode(self, given: Text) -> list[Encoded]:
        """One window, cut where the text is too long."""
        given = single_or_pair(self.segments, given)
        return [self._encoder.encode_pair(*given) if isinstance(given, tuple) else self._encoder.encode(given)]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[Outputs]) -> Score:
        """The output in the caller's units, clipped to the range if `clip` says so. *Shape* of it: (1,)."""
        score = self.score(float(outputs[0][0][0]))
        low, high = self.settings.low, self.settings.high
        return Score(min(max(score, low), high) if self.settings.clip else score, windows[0].truncated)

    def score(self, value: float) -> float:
        """Score of an output, wherever it lies."""
        if self.settings.activation == "sigmoid":
            value = 0.5 * (1.0 + math.tanh(0.5 * value))  # does not overflow
        low, high = self.settings.low, self.settings.high
        return value if self.settings.output == "score" else low + value * (high - low)

    def given(self, example: Example) -> Text:
        """The row's text, or its two texts."""
        return example.text if example.text_pair is None else (example.text, example.text_pair)

    def expected(self, example: Example) -> float:
        """The row's score.

        Raises:
            DataError: A row without one.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no score; expected a number from {self.settings.range}")
        return float(example.label)

    def output(self, score: float) -> float:
        """What the head gives for a score."""
        low, high = self.settings.low, self.settings.high
        value = score if self.settings.output == "score" else (score - low) / (high - low)
        if self.settings.activation == "none":
            return value
        inside = min(max(value, SMALLEST), 1.0 - SMALLEST)
        return math.log(inside / (1.0 - inside))

    def predicted(self, prediction: Score) -> float:
        """The predicted score."""
        return prediction.score


def _number(value: object) -> float | None:
    """A number as it stands in a cell or in JSON; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "_" in str(value):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


TASK = Regression
