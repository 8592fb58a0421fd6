"""Metrics of answers: compared with manual results, and exactly equal to the official ones."""

import re
import string
from collections import Counter

import numpy as np
import pytest

from edgebert.runtime.quality import measure_quality
from edgebert.tasks.question_answering.spec import SPEC, exact_match, f1

CASES = [
    (["Ann"], "Ann", 1, 1),
    (["Ann"], "ann!", 1, 1),
    (["Ann"], "Bob", 0, 0),
    (["the big cat"], "A Big  Cat.", 1, 1),
    (["big cat"], "the cat", 0, 2 / 3),
    (["another theatre"], "another theatre", 1, 1),
    (["another theatre"], "other theatre", 0, 1 / 2),
    (["U.S."], "US", 1, 1),
    (["well-known"], "wellknown", 1, 1),
    (["a-team"], "ateam", 1, 1),
    (["rock 'n' roll"], "Rock n Roll", 1, 1),
    (["$3 to $12"], "3 to 12", 1, 1),
    (["10 10 10"], "10 10", 0, 4 / 5),
    (["cat cat dog"], "cat dog dog", 0, 2 / 3),
    (["one two three four"], "three", 0, 2 / 5),
    (["café"], "CAFÉ", 1, 1),
    (["café"], "cafe", 0, 0),
    (["café"], "cafe\u0301", 0, 0),
    (["ＡＢＣ"], "ａｂｃ", 1, 1),
    (["ABC"], "ＡＢＣ", 0, 0),
    (["“Ann”"], "Ann", 0, 0),
    (["“Ann”"], "“ann”", 1, 1),
    (["Ann’s cat"], "Ann's cat", 0, 1 / 2),
    (["1–2"], "1-2", 0, 0),
    (["Ann\u00a0Lee"], "ann lee", 1, 1),
    (["Straße"], "STRASSE", 0, 0),
    (["in Paris", "Paris", "the city of Paris"], "paris", 1, 1),
    (["in Paris", "the city of Paris"], "city of Lyon", 0, 2 / 3),
    (["Ann"], "", 0, 0),
    (["Ann"], "the .", 0, 0),
    (["."], ".", 1, 0),
    (["."], "", 1, 0),
    (["the", "cat"], "a", 1, 0),
    ([], "", 1, 1),
    ([], "Ann", 0, 0),
    ([], "a - the", 1, 1),
]


@pytest.mark.parametrize(("answers", "predicted", "exact", "words"), CASES)
def test_metrics_of_cases_worked_out_by_hand(answers: list[str], predicted: str, exact: float, words: float) -> None:
    assert exact_match(answers, predicted) == exact
    assert f1(answers, predicted) == pytest.approx(words, abs=1e-15)


def official(answers: list[str], predicted: str) -> tuple[float, float]:
    """Exact match and F1 as in the two official evaluations, with the same steps in the same order."""

    def normal(text: str) -> str:
        bare = "".join(letter for letter in text.lower() if letter not in set(string.punctuation))
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())

    def shared(answer: str) -> float:
        right, given = normal(answer).split(), normal(predicted).split()
        same = sum((Counter(given) & Counter(right)).values())
        if same == 0:
            return float(not answers and right == given)
        precision, recall = 1.0 * same / len(given), 1.0 * same / len(right)
        return (2 * precision * recall) / (precision + recall)

    wanted = answers or [""]
    return max(float(normal(answer) == normal(predicted)) for answer in wanted), max(map(shared, wanted))


PIECES = [
    "the",
    "An",
    "cat",
    "dog",
    "dog",
    "U.S.",
    "café",
    "“x”",
    "-",
    ".",
    "10",
    "\t",
    "ＡＢ",
    "Ｔhe",
    "a.",
    "’s",
    "\u00a0",
]


def test_metrics_of_many_texts_are_the_official_ones_to_the_last_digit() -> None:
    random = np.random.default_rng(3)

    def text() -> str:
        return " ".join(random.choice(PIECES, size=random.integers(0, 6)))

    expected = [[text() for _ in range(random.integers(0, 4))] for _ in range(800)]
    predicted = [text() for _ in expected]
    figures = [official(answers, given) for answers, given in zip(expected, predicted, strict=True)]
    for name, column in (("exact_match", 0), ("f1", 1)):
        metric = SPEC.metrics[name]
        table = metric.table(expected, predicted)
        assert table[:, 0].tolist() == [figure[column] for figure in figures]
        assert metric.figure(table) == pytest.approx(sum(figure[column] for figure in figures) / 800, abs=1e-15)
        assert 0.05 < metric.figure(table) < 0.95


def test_a_metric_is_a_share_with_an_interval() -> None:
    expected, predicted = [("Ann", "Ann Lee"), (), ("big cat",), ("Bob",)] * 25, ["ann lee", "", "cat", "Al"] * 25
    quality = measure_quality("f1", SPEC.metrics["f1"], expected, predicted)
    assert quality.value == pytest.approx((1 + 1 + 2 / 3 + 0) / 4, abs=1e-12)
    assert 0 < quality.ci_low < quality.value < quality.ci_high < 1
    assert next(iter(SPEC.metrics)) == "f1"
