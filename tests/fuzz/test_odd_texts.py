"""Every task answers unusual texts with valid offsets or raises TextError, equally alone and together."""

import json
import math
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fuzz.answering import TASKS, byte_level, make_model, wordpiece
from fuzz.odd_texts import odd_texts
from fuzz.tally import TALLY, assert_line, examples
from hypothesis import given
from hypothesis import strategies as st

from edgebert.data.words import Words
from edgebert.errors import TextError

# Texts in a list that one example asks about, once alone and once together.
TOGETHER = 10
TOKENIZERS = {"wordpiece": wordpiece, "byte-level": byte_level}


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in TOKENIZERS.items()}


def asked(task: str, texts: list[str]) -> list[Any]:
    """Inputs of the task: texts, pairs of them, words, texts with a mask."""
    if task in ("question-answering", "rerank"):
        return list(zip(texts, [*texts[1:], f"the film {texts[0]}"], strict=True))
    if task == "fill-mask":
        return [f"{text} [MASK]" for text in texts]
    if task in ("token-classification", "intent-slots"):
        return [Words(tuple(text.split(" "))) if len(text) % 3 == 0 else text for text in texts]
    return texts


def check_entities(given_: Any, found: Any) -> None:
    text = str(given_)
    for entity in found:
        assert 0 <= entity.start < entity.end <= len(text)
        assert text[entity.start : entity.end] == entity.text
        assert not entity.text.isspace()
        assert 0 <= entity.score <= 1 + 1e-9
    assert all(one.end <= other.start for one, other in pairwise(found))


def check(task: str, given_: Any, answer: Any) -> None:
    json.dumps(asdict(answer), allow_nan=False)
    assert "\n" not in str(answer)
    if task == "token-classification":
        check_entities(given_, answer.entities)
        assert len(answer.tags) == len(answer.words)
    if task == "intent-slots":
        check_entities(given_, answer.slots)
    if task in ("text-classification", "intent-slots"):
        assert math.isclose(sum(answer.scores.values()), 1, abs_tol=1e-6)
    if task == "question-answering":
        assert 0 <= answer.score <= 1
        assert (answer.answer == "") == (answer.start is None) == (answer.end is None)
        if answer.start is not None:
            assert 0 <= answer.start < answer.end <= len(given_[1])
            assert given_[1][answer.start : answer.end] == answer.answer
    if task == "similarity":
        assert math.isclose(math.hypot(*answer.embedding), 1, abs_tol=1e-5)


def check_same(task: str, one: Any, other: Any) -> None:
    """Equal except for the last digits: rows of another length are summed in another order."""
    one, other = asdict(one), asdict(other)
    assert json.dumps(rounded(one)) == json.dumps(rounded(other)) or near(one, other)


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def near(one: Any, other: Any) -> bool:
    if isinstance(one, float):
        return math.isclose(one, other, abs_tol=1e-4)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(near, one, other))
    return bool(one == other)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("task", TASKS)
def test_odd_texts(task: str, tokenizer: str, tokenizers: dict[str, Path]) -> None:
    segments = 2 if task in ("question-answering", "rerank") else 1
    model = make_model(task, tokenizers[tokenizer], segments)

    @examples(brief=15, long=640)
    @given(st.lists(odd_texts(), min_size=TOGETHER, max_size=TOGETHER))
    def answers(texts: list[str]) -> None:
        answered = []
        for text in asked(task, texts):
            try:
                answered.append((text, model(text)))
            except TextError as error:
                assert_line(error)
                TALLY.add("odd texts", "refused")
        for text, answer in answered:
            check(task, text, answer)
            TALLY.add("odd texts", "answered")
        together = model([text for text, _ in answered]) if answered else []
        for (_, alone), beside in zip(answered, together, strict=True):
            check_same(task, alone, beside)

    answers()
