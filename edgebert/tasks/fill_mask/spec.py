"""Fill in masked tokens: for every [MASK] of a text, the most likely tokens of the vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.settings import within
from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example
    from edgebert.metrics.scores import Table

# For every hidden token of a text: its id, and the id of the most likely token at its mask.
Guesses = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Settings:
    """Number of candidates for every mask."""

    top_k: int = within(5, 1, 100_000)


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read one text per row, from plain lines, a table or JSON Lines; a text is its own label."""
    from edgebert.data.examples import read_examples

    rows = read_examples(path, replace(columns, text_pair="", label=""))
    return [replace(row, label=row.text) for row in rows]


def _found(expected: Sequence[bool], predicted: Sequence[Guesses]) -> Table:
    """Number of hidden tokens that were found, and of hidden tokens, for every text. *Shape*: (texts, 2)."""
    import numpy as np

    rows = [[sum(hidden == likeliest for hidden, likeliest in guesses), len(guesses)] for guesses in predicted]
    return np.array(rows, dtype=np.float64)


def _share(table: Table) -> float:
    found, hidden = table.sum(0)
    return float(found / hidden)


def _scoring() -> Scoring:
    from edgebert.metrics.scores import Metric

    return Scoring({"accuracy": Metric(_found, _share)})


SPEC = TaskSpec(
    name="fill-mask",
    settings=Settings,
    metric_names=("accuracy",),
    scoring=_scoring,
    outputs={"logits": True},
    read=read,
    data="one text per line, or a table or JSON Lines with the recipe's column of texts, or text",
    question='"a text with a [MASK] in it"',
)
