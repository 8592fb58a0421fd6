"""Extractive question answering: the span of a context that answers a question, or no answer."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebert.data.formats import SQUAD
from edgebert.settings import within
from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example

KEYS = ("question", "context")
PUNCTUATION = str.maketrans("", "", string.punctuation)
ARTICLES = re.compile(r"\b(a|an|the)\b")


@dataclass(frozen=True)
class Settings:
    """Settings of windows, answer length and misplaced answers.

    They are the tokens that neighbouring windows share, the maximum number of tokens of an answer, and what to do with
    answers whose `start` is wrong.
    """

    stride: int = within(128, 0, 512)
    max_answer_length: int = within(30, 1, 512)
    misplaced_answers: Literal["refuse", "repair"] = "refuse"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read questions of a SQuAD document or of JSON Lines; the label is a tuple of answers, empty for no answer."""
    from edgebert.data.named import named_of
    from edgebert.data.squad import read_squad

    named = named_of(columns)
    keys = {"question": named.text, "context": named.text_pair, "answers": named.label}
    return read_squad(path, settings.misplaced_answers, bool(columns.label), keys, columns.skip_empty)


def normalised(text: str) -> str:
    """Lower-case a text, and remove ASCII punctuation, English articles and extra white space.

    As in SQuAD's official evaluation (Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1).
    """
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def exact_match(answers: Sequence[str], predicted: str) -> float:
    """1 if the normalised prediction equals one of the answers; without answers, 1 if it is empty."""
    return float(normalised(predicted) in {normalised(answer) for answer in answers or ("",)})


def f1(answers: Sequence[str], predicted: str) -> float:
    """F1 of the normalised words against the closest answer; without answers, exact match."""
    return max(_word_f1(answer, predicted) for answer in answers) if answers else exact_match(answers, predicted)


def _word_f1(answer: str, predicted: str) -> float:
    right, given = normalised(answer).split(), normalised(predicted).split()
    same = sum((Counter(right) & Counter(given)).values())
    if not same:
        return 0.0
    precision, recall = same / len(given), same / len(right)
    return (2 * precision * recall) / (precision + recall)


def _scoring() -> Scoring:
    from edgebert.metrics.scores import mean_of

    return Scoring({"f1": mean_of(f1), "exact_match": mean_of(exact_match, right=0)})


SPEC = TaskSpec(
    name="question-answering",
    settings=Settings,
    metric_names=("f1", "exact_match"),
    scoring=_scoring,
    outputs={"start_logits": True, "end_logits": True},
    read=read,
    data="SQuAD documents (.json), or JSON Lines with question, context and answers [{text, start}]",
    formats=SQUAD,
    input_keys=KEYS,
    question='"a question" --context "the text to answer it from"',
)
