"""Extractive question answering: the stretch of a context that answers a question, or that there is none."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from edgebert.data.examples import Columns, Example
from edgebert.data.named import named_of
from edgebert.data.squad import read_squad
from edgebert.errors import DataError, TextError
from edgebert.metrics.scores import Metric, Table
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Text
from edgebert.runtime.prediction import Prediction
from edgebert.runtime.session import Outputs
from edgebert.runtime.spans import whole_characters, window_span
from edgebert.settings import fill, within

KEYS = ("question", "context")
DATA = "SQuAD documents (.json), or JSON Lines with question, context and answers [{text, start}]"
DEFAULT_THRESHOLD = 0.0

PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """Lower case, without ASCII punctuation, English articles and surplus white space.

    As SQuAD's official evaluation has it (Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1).
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(answers: Sequence[str], predicted: str) -> float:
    """1 where the prediction is one of the answers, both normalised; without answers, where it is empty."""
    return float(normalised(predicted) in {normalised(answer) for answer in answers or ("",)})


def f1(answers: Sequence[str], predicted: str) -> float:
    """F1 of the normalised words against those of the nearest answer; without answers, exact match."""
    return max(_word_f1(answer, predicted) for answer in answers) if answers else exact_match(answers, predicted)


def _word_f1(answer: str, predicted: str) -> float:
    right, given = normalised(answer).split(), normalised(predicted).split()
    same = sum((Counter(right) & Counter(given)).values())
    if not same:
        return 0.0
    precision, recall = same / len(given), same / len(right)
    return (2 * precision * recall) / (precision + recall)


def _mean_of(score: Callable[[Sequence[str], str], float], right: int | None = None) -> Metric:
    def table(expected: Sequence[Sequence[str]], predicted: Sequence[str]) -> Table:
        return np.array([[score(answers, given)] for answers, given in zip(expected, predicted, strict=True)])

    return Metric(table, lambda table: float(table.mean()), right)


METRICS = {"f1": _mean_of(f1), "exact_match": _mean_of(exact_match, right=0)}


@dataclass(frozen=True)
class Settings:
    """Tokens that neighbouring windows share, most tokens of an answer, and what misplaced answers in data files do."""

    stride: int = within(128, 0, 512)
    max_answer_length: int = within(30, 1, 512)
    misplaced_answers: Literal["refuse", "repair"] = "refuse"


@dataclass(frozen=True)
class FoundAnswer(Prediction):
    """The answer as it stands in the context, from character `start` to before `end`; "" and None where there is none.

    `score` is the probability of what is answered, in the window that it was found in: of the answer's start times its
    end, or of [CLS], which stands for no answer. `candidate` is the likeliest stretch of the context even where that
    is no answer. `no_answer_score` says by how much [CLS] outdoes it, in logits: more than the bundle's threshold means
    no answer; None for a bundle that always answers.
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


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Questions of a SQuAD document or of JSON Lines; the label is a tuple of answers, empty where there is none."""
    named = named_of(columns)
    keys = {"question": named.text, "context": named.text_pair, "answers": named.label}
    return read_squad(path, settings.misplaced_answers, bool(columns.label), keys, columns.skip_empty)


class QuestionAnswering:
    """The best span over all windows of the context, against [CLS] where the training data had no-answer questions."""

    OUTPUTS: ClassVar[Mapping[str, bool]] = {"start_logits": True, "end_logits": True}

    def __init__(self, manifest: dict[str, Any], encoder: TextEncoder) -> None:
        """Take settings and the threshold for no answer from a manifest."""
        head = manifest["head"]
        self.settings = fill(Settings, head["settings"], "manifest.json")
        self.may_have_no_answer: bool = head.get("may_have_no_answer", False)
        self.threshold: float = head.get("no_answer_threshold", DEFAULT_THRESHOLD)
        self._encoder = encoder

    @property
    def widths(self) -> Sequence[int | None]:
        """Columns of the graph's outputs; None for any number."""
        return (None, None)

    def encode(self, given: Text) -> list[Encoded]:
        """Windows of the context, each behind the whole question.

        Raises:
            TextError: Not a question with a context, or one that cannot be encoded.
        """
        if not isinstance(given, tuple):
            what = (
                f"the single text {given!r:.40}" if isinstance(given, str) else f"{type(given).__name__} {given!r:.40}"
            )
            raise TextError(
                f"{what} was given, but this bundle answers questions; give (question, context), or --context"
            )
        if len(given) != len(KEYS):
            raise TextError(f"a tuple of {len(given)} was given; give (question, context), several of them in a list")
        question, context = given
        return self._encoder.encode_context(question, context, self.settings.stride)

    def decode(self, given: Text, windows: Sequence[Encoded], outputs: Sequence[Outputs]) -> FoundAnswer:
        """Best span of all windows. *Shape* of start and end logits: (tokens,).

        There is no answer where [CLS] outdoes the best span by more than the threshold, in the window where [CLS] does
        worst (Devlin et al. 2019, arXiv:1810.04805, section 4.3, and its code for several windows).
        """
        context, longest = given[1], self.settings.max_answer_length
        spans = [
            window_span(starts, ends, window.offsets, longest)
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

    def given(self, example: Example) -> Text:
        """The row's question and context.

        Raises:
            DataError: It has no context.
        """
        if example.text_pair is None:
            raise DataError(f"{example.place}: {example.text!r:.40} has no context; expected a question with one")
        return example.text, example.text_pair

    def expected(self, example: Example) -> tuple[str, ...]:
        """Texts of the row's answers, none where the context holds no answer.

        Where questions may have no answer, one that normalises to nothing does not count, as in the evaluation of
        SQuAD 2.0 and unlike that of 1.1.

        Raises:
            DataError: The row does not say what is right.
        """
        if example.label is None:
            raise DataError(f"{example.place}: no 'answers'; expected a list of them, empty where there is none")
        texts = tuple(answer.text for answer in example.label)
        return tuple(text for text in texts if normalised(text)) if self.may_have_no_answer else texts

    def predicted(self, prediction: FoundAnswer) -> str:
        """Text of the answer, "" for none."""
        return prediction.answer


TASK = QuestionAnswering
