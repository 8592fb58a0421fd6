"""Regression: a score for a text, or for a pair of texts as in a cross-encoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebert.settings import within
from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example


@dataclass(frozen=True)
class Settings:
    """The range of the scores, and how they are read from the head's one output.

    Attributes:
        low: Lowest score.
        high: Highest score.
        output: Meaning of the output after the activation: a score scaled to 0..1, or the score itself.
        activation: Activation applied to the output first, as in cross-encoders.
        clip: Whether scores are clipped to the range.
    """

    low: float = within(0.0, -1e9, 1e9)
    high: float = within(1.0, -1e9, 1e9)
    output: Literal["scaled", "score"] = "scaled"
    activation: Literal["none", "sigmoid"] = "none"
    clip: bool = True

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.low < self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}; expected low below high")

    @property
    def range(self) -> str:
        """The range of the scores, for messages."""
        return f"{self.low:g} to {self.high:g}"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read rows of a table or JSON Lines; the label is a number in the range.

    Raises:
        DataError: A score is not a finite number, or is outside the range.
    """
    from edgebert.data.examples import read_examples

    def parse(value: object) -> float:
        number = as_number(value)
        if number is None or not settings.low <= number <= settings.high:
            raise ValueError(f"a number from {settings.range} (head.low to head.high)")
        return number

    return read_examples(path, columns, parse)


def as_number(value: object) -> float | None:
    """A number in a cell or in JSON; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, str | int | float) or "_" in str(value):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def correlations() -> Scoring:
    """Correlations of predicted with correct scores."""
    from edgebert.metrics.scores import PEARSON, SPEARMAN

    return Scoring({"spearman": SPEARMAN, "pearson": PEARSON})


SPEC = TaskSpec(
    name="regression",
    settings=Settings,
    metric_names=("spearman", "pearson"),
    scoring=correlations,
    outputs={"logits": False},
    read=read,
    can_hold_out=True,
)
