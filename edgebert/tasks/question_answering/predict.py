"""Extractive question answering: the span of a context that answers a question, or no answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgebert.errors import DataError, TextError
from edgebert.escape import shown_value
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.inputs import Text
from edgebert.runtime.plain_math import numbers_of
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import TextOutputs
from edgebert.runtime.spans import whole_characters, window_span
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.question_answering.spec import KEYS, SPEC, Settings, normalised

if TYPE_CHECKING:
    from edgebert.data.examples import Example
    from edgebert.manifest import Facts
    from edgebert.runtime.piped import TopK
    from edgebert.strict_json import Json

DEFAULT_THRESHOLD = 0.0


@dataclass(frozen=True)
class FoundAnswer(Prediction):
    """The answer in the context, from character `start` up to `end` (exclusive); "" and None without an answer.

    `score` is the answer's probability in its window: start times end, or that of [CLS], which means no answer.
    `candidate` is the most likely span, even if it is not returned as the answer. `no_answer_score` is the logit
    difference of [CLS] and the candidate; above the bundle's threshold there is no answer. It is None for a bundle that
    always answers.
    """

    answer: str
    start: int | None
    end: int | None
    score: float
    candidate: str
    no_answer_score: float | None

    def __str__(self) -> str:
        """Answer and score, tab-separated."""
        return f"{' '.join(self.answer.split()) or '(no answer)'}\t{self.score:.4f}"


class QuestionAnswering(DeviceTask[Settings, Text, FoundAnswer]):
    """The best span over all windows of the context.

    If the training data has questions without an answer, it is compared with [CLS].
    """

    spec = SPEC

    def __init__(self, facts: Facts, encoder: TextEncoder | None) -> None:
        """Take settings and the threshold for no answer from a bundle's facts."""
        super().__init__(facts, encoder)
        self.may_have_no_answer = facts.head.may_have_no_answer
        chosen = facts.head.no_answer_threshold
        self.threshold = DEFAULT_THRESHOLD if chosen is None else chosen

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (None, None)

    def encode(self, given: Text) -> list[Encoded]:
        """Windows of the context, each after the whole question.

        Raises:
            TextError: Not a question with a context, or one that cannot be encoded.
        """
        if not isinstance(given, tuple):
            what = (
                f"the single text {given!r:.40}"
                if isinstance(given, str)
                else f"{type(given).__name__} {shown_value(given)}"
            )
            raise TextError(
                f"{what} was given, but this bundle answers questions; give (question, context), or --context"
            )
        if len(given) != len(KEYS):
            raise TextError(f"a tuple of {len(given)} was given; give (question, context), several of them in a list")
        question, context = given
        return self.encoder.encode_context(question, context, self.settings.stride)

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[TextOutputs]) -> FoundAnswer:
        """Best span of all windows. *Shape* of start and end logits: (tokens,).

        There is no answer if [CLS] exceeds the best span by more than the threshold; of several windows, the one with
        the lowest [CLS] score counts (Devlin et al. 2019, arXiv:1810.04805, section 4.3, and its code).
        """
        context, longest = given[1], self.settings.max_answer_length
        spans = [
            window_span(numbers_of(starts), numbers_of(ends), window.offsets, longest)
            for window, (starts, ends) in zip(windows, outputs, strict=True)
        ]
        best = max(spans, key=lambda span: span.score)
        candidate = whole_characters(context, best.start, best.end)
        if not self.may_have_no_answer:
            return FoundAnswer(candidate, best.start, best.start + len(candidate), best.probability, candidate, None)
        least = min(spans, key=lambda span: span.null)
        lead = least.null - best.score
        if lead > self.threshold:
            return FoundAnswer("", None, None, least.null_probability, candidate, lead)
        return FoundAnswer(candidate, best.start, best.start + len(candidate), best.probability, candidate, lead)

    def piped(self, given: Text, answer: FoundAnswer, top_k: TopK) -> Json:
        """The answer in the form of the transformers 4 pipeline, which 5 lacks; from 0 to 0 if there is none."""
        return {"score": answer.score, "start": answer.start or 0, "end": answer.end or 0, "answer": answer.answer}

    def given(self, example: Example) -> Text:
        """The row's question and context.

        Raises:
            DataError: The row has no context.
        """
        if example.text_pair is None:
            raise DataError(f"{example.place}: {example.text!r:.40} has no context; expected a question with one")
        return example.text, example.text_pair

    def expected(self, example: Example, unknown: Sequence[str] = ()) -> tuple[str, ...]:
        """The row's answers; empty if the context has none.

        If questions may have no answer, an answer whose normalised text is empty does not count, as in the evaluation
        of SQuAD 2.0 and unlike that of 1.1.

        Raises:
            DataError: The row has no `answers`.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no 'answers'; expected a list of them, empty if there is none")
        texts = tuple(answer.text for answer in example.label)
        return tuple(text for text in texts if normalised(text)) if self.may_have_no_answer else texts

    def predicted(self, prediction: FoundAnswer) -> str:
        """Text of the answer, "" for none."""
        return prediction.answer
