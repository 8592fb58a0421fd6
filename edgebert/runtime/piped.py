"""Answers in the form of transformers' pipelines, for programs written for them. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from edgebert.errors import InputError
from edgebert.escape import shown_value

if TYPE_CHECKING:
    from edgebert.strict_json import Json

# Number of labels to return: only the most likely one, this many of them, or all (None). "best" returns it without a
# list.
TopK = int | Literal["best"] | None


def labelled(scores: Mapping[str, float], top_k: TopK) -> Json:
    """Labels with their scores, best first; the best one alone is not in a list.

    >>> labelled({"bad": 0.25, "good": 0.75}, "best")
    {'label': 'good', 'score': 0.75}
    >>> labelled({"bad": 0.25, "good": 0.75}, None)
    [{'label': 'good', 'score': 0.75}, {'label': 'bad', 'score': 0.25}]
    """
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    found: list[Json] = [{"label": label, "score": score} for label, score in ranked]
    return found[0] if top_k == "best" else found[:top_k]


def check_top_k(top_k: object, ranks_labels: bool) -> None:
    """Refuse a number of labels that cannot be returned.

    Raises:
        InputError: It is not a whole number of 1 or more, or the task does not rank labels.
    """
    if isinstance(top_k, str) and top_k == "best":
        return
    if top_k is not None and (type(top_k) is not int or top_k < 1):
        raise InputError(f"top_k is {shown_value(top_k)}; give a whole number of 1 or more, or None for all labels")
    if not ranks_labels:
        raise InputError("top_k is given, but the bundle's task does not rank labels; leave it out")
