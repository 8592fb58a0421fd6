"""Sentence similarity: an embedding of a text, the cosine of two embeddings for a pair."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebert.errors import MissingColumnError
from edgebert.settings import within
from edgebert.tasks.regression import spec as regression
from edgebert.tasks.spec import TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example

POOLINGS = ("mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")


@dataclass(frozen=True)
class Settings:
    """How the embedding is trained, and how it is computed from the encoder's rows.

    Attributes:
        objective: "scores" if every training pair has a score; "in_batch_negatives" if pairs belong together, with the
            other pairs of a batch as negatives.
        low: Lowest score.
        high: Highest score.
        pooling: How a text's rows become one vector: one of `POOLINGS`, or several joined by "+".
        normalize: Whether vectors are divided by their length.
        prompts: Texts that can be put before a text, by name.
        default_prompt: Name of the prompt for every text if none is named; "" for none.
        widths: Smaller widths that the embedding is trained for, in ascending order.
    """

    objective: Literal["scores", "in_batch_negatives"] = "scores"
    low: float = within(0.0, -1e9, 1e9)
    high: float = within(1.0, -1e9, 1e9)
    pooling: str = "mean"
    widths: tuple[int, ...] = within((), 1, 65_536)
    normalize: bool = True
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str = ""

    def __post_init__(self) -> None:
        """Refuse an empty range, widths out of order, an unknown pooling, and a prompt without text."""
        unknown = [name for name in self.pooling.split("+") if name not in POOLINGS]
        if unknown:
            raise ValueError(f"pooling {self.pooling!r}: expected one of {', '.join(POOLINGS)}, or several joined by +")
        if self.default_prompt and self.default_prompt not in self.prompts:
            raise ValueError(f"default_prompt {self.default_prompt!r} is not among prompts; name one of them")
        if not self.low < self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}; expected low below high")
        if list(self.widths) != sorted(set(self.widths)):
            raise ValueError(f"widths {list(self.widths)}: expected ascending order, each once")

    @property
    def range(self) -> str:
        """The range of the scores, for messages."""
        return f"{self.low:g} to {self.high:g}"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read rows of a table or JSON Lines; the label is a number from `low` to `high`.

    A file of pairs that belong together ("in_batch_negatives") may lack the label's column.

    Raises:
        DataError: A score is not a number in the range.
    """
    scores = regression.Settings(settings.low, settings.high)
    try:
        return regression.read(path, columns, scores)
    except MissingColumnError as error:
        if settings.objective == "scores" or error.column != columns.label:
            raise
    return regression.read(path, replace(columns, label=""), scores)


SPEC = TaskSpec(
    name="similarity",
    settings=Settings,
    metric_names=("spearman", "pearson"),
    scoring=regression.correlations,
    # The name in optimum and sentence-transformers; the exporter uses "embedding" for its own values.
    outputs={"sentence_embedding": False},
    read=read,
    question='"your text"',
    encodes_alone=True,
)
