"""Reranking: how well a document answers a query, scored with both in one input, and documents sorted by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebert.errors import DataError, MissingColumnError
from edgebert.settings import within
from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example

HIGHEST = 1e9


@dataclass(frozen=True)
class Settings:
    """The grades of the data, and how a score is read from the head's one output.

    Attributes:
        low: Grade of a document that does not answer its query.
        high: Best grade in training; files to be scored may have higher ones.
        activation: Activation of the output: the score is then 0 to 1, or the output itself.
        negative: Column of a document that does not answer the query, if the data has triples instead of grades.
    """

    low: float = within(0.0, -HIGHEST, HIGHEST)
    high: float = within(1.0, -HIGHEST, HIGHEST)
    activation: Literal["none", "sigmoid"] = "sigmoid"
    negative: str = ""

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.low < self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}; expected low below high")


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read rows of a table or JSON Lines: query, document and grade, or triples if the file has that column.

    A triple becomes two rows: the answering document has the highest grade, the other one the lowest.

    Raises:
        DataError: A grade is not a number or below the lowest, or a column is named twice.
    """
    if settings.negative:
        if settings.negative in (columns.text, columns.text_pair):
            raise DataError(
                f"head.negative is {settings.negative!r:.60}, the column of the query or of its answering document; "
                f"name the column of a document that does not answer it"
            )
        try:
            return _triples(path, columns, settings)
        except MissingColumnError as error:
            if error.column != settings.negative:
                raise
    return _grades(path, columns, settings)


def _grades(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    from edgebert.data.examples import read_examples
    from edgebert.tasks.regression.spec import as_number

    def parse(value: object) -> float:
        grade = as_number(value)
        if grade is None or not settings.low <= grade <= HIGHEST:
            raise ValueError(f"a number of at least {settings.low:g} (head.low)")
        return grade

    return read_examples(path, columns, parse)


def _triples(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Both pairs of every triple; repeated pairs appear once, with the best grade, at their first position."""
    from edgebert.data.examples import read_examples

    negatives = read_examples(path, replace(columns, text_pair=settings.negative, label=""))
    positives = read_examples(path, replace(columns, label=""))
    if any(row.empty for row in (*positives, *negatives)):
        both = [(one, other) for one, other in zip(positives, negatives, strict=True) if not (one.empty or other.empty)]
        skipped = [one if one.empty else other for one, other in zip(positives, negatives, strict=True)]
        return [*_graded(both, settings), *(row for row in skipped if row.empty)]
    return _graded(list(zip(positives, negatives, strict=True)), settings)


def _graded(triples: Sequence[tuple[Example, Example]], settings: Settings) -> list[Example]:
    found: dict[tuple[str, str | None], Example] = {}
    for triple in triples:
        for row, grade in zip(triple, (settings.high, settings.low), strict=True):
            pair = (row.text, row.text_pair)
            if pair not in found or found[pair].label < grade:
                found[pair] = replace(row, label=grade)
    return list(found.values())


def _scoring() -> Scoring:
    from edgebert.metrics.ranking import MRR, NDCG

    return Scoring({"ndcg@10": NDCG, "mrr@10": MRR})


SPEC = TaskSpec(
    name="rerank",
    settings=Settings,
    metric_names=("ndcg@10", "mrr@10"),
    scoring=_scoring,
    outputs={"logits": False},
    read=read,
    input_keys=("query", "document"),
    label_key="grade",
    question='"a question" --text-pair "a document"',
    counts_queries=True,
)
