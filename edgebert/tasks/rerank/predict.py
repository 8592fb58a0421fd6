"""Reranking: score a query with a document, and sort a query's documents by score."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.errors import DataError, InputError, TextError
from edgebert.escape import shown_value
from edgebert.runtime.encode import Encoded, check_text
from edgebert.runtime.inputs import Text, as_list, check_batch_size, single_or_pair
from edgebert.runtime.model import Model
from edgebert.runtime.piped import labelled
from edgebert.runtime.plain_math import sigmoid
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Session, TextOutputs
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.rerank.spec import SPEC, Settings

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.metrics.ranking import Judged
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json


@dataclass(frozen=True)
class Relevance(Prediction):
    """How well a document answers a query, and whether the pair was truncated."""

    score: float
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether the pair was truncated."""
        return self.truncated

    def __str__(self) -> str:
        """The score."""
        return f"{self.score:.4f}"


@dataclass(frozen=True)
class Ranked(Prediction):
    """A document's position in the given list (from 0), and its score."""

    index: int
    score: float
    text: str
    truncated: bool

    @property
    def is_cut(self) -> bool:
        """Whether query and document were truncated."""
        return self.truncated

    def __str__(self) -> str:
        """Position and score, tab-separated."""
        return f"{self.index}\t{self.score:.4f}"


class Rerank(DeviceTask[Settings, Text, Relevance]):
    """A score from the head's one output, for a query and a document in one input."""

    spec = SPEC
    ranks_labels = True

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs."""
        return (1,)

    def encode(self, given: Text) -> list[Encoded]:
        """One window with query and document; the longer of the two is truncated first."""
        return [self.encoder.encode_pair(*single_or_pair(2, given))]

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> Relevance:
        """Apply the activation to the output. *Shape* of the output: (1,)."""
        logit = float(outputs[0][0][0])
        return Relevance(sigmoid(logit) if self.settings.activation == "sigmoid" else logit, windows[0].truncated)

    def piped(self, given: Text, answer: Relevance, top_k: TopK) -> Json:
        """The score, with transformers' name for a head's only output."""
        return labelled({"LABEL_0": answer.score}, top_k)

    def given(self, example: Example) -> Text:
        """The row's query and document.

        Raises:
            DataError: The row has no document.
        """
        if example.text_pair is None:
            raise DataError(
                f"{example.place}: no document; name its column (--pair-column, in a recipe data.text_pair)"
            )
        return example.text, example.text_pair

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> Judged:
        """The row's query, and its grade minus the lowest grade.

        Raises:
            DataError: The row has no grade.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no grade; expected a number of at least {self.settings.low:g}")
        return example.text, float(example.label) - self.settings.low

    def predicted(self, prediction: Relevance) -> float:
        """The score."""
        return prediction.score

    @property
    def score_range(self) -> str:
        """The range of the grades."""
        return f"{self.settings.low:g} and above"

    def model(self, facts: Facts, session: Session) -> RerankModel:
        """The opened bundle, with `rank`."""
        return RerankModel(facts, self, session)


class RerankModel(Model):
    """An opened bundle that scores documents: call it with (query, document) pairs, or let it `rank` a list."""

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        *,
        batch_size: int = 32,
        progress: bool = False,
    ) -> list[Ranked]:
        """Sort documents by their scores for a query, best first; if equal, the earlier one first.

        Args:
            query: A text.
            documents: Texts; none give an empty list.
            top_k: Number of documents to return; None for all.
            batch_size: Maximum number of pairs of similar length that run together.
            progress: Whether stderr shows how many documents are scored, and the time left.

        Raises:
            TextError: The query or a document is not a string, or has no token; the message says which document.
            InputError: `top_k` or `batch_size` is below 1, or the model is closed.
            RunError: The graph's outputs have NaN or infinity.
        """
        check_batch_size(batch_size)
        if top_k is not None and (type(top_k) is not int or top_k < 1):
            raise InputError(
                f"top_k is {shown_value(top_k)}; give a whole number of 1 or more, or None for all documents"
            )
        check_text(query, "query")
        if isinstance(documents, str | bytes | Mapping) or not isinstance(documents, Iterable):
            raise TextError(f"documents is {type(documents).__name__} {shown_value(documents)}; give a list of texts")
        texts: list[str] = list(as_list(documents))
        for number, text in enumerate(texts, 1):
            check_text(text, f"document {number} of {len(texts)}")
            if not text.strip():
                raise TextError(f"document {number} of {len(texts)} is blank; leave it out of the list")
        pairs: list[Text] = [(query, text) for text in texts]
        answers: list[Relevance] = self(pairs, batch_size=batch_size, progress=progress)
        order = sorted(range(len(texts)), key=lambda at: -answers[at].score)[:top_k]
        return [Ranked(at, answers[at].score, texts[at], answers[at].truncated) for at in order]
