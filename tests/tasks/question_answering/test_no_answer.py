"""The threshold above which a question has no answer, and the metric in training."""

import random
from collections.abc import Iterator, Sequence

import pytest
from manifests import facts_of

from edgebert.tasks.question_answering.predict import FoundAnswer, QuestionAnswering
from edgebert.tasks.question_answering.spec import SPEC, f1
from edgebert.tasks.training_table import training_task

TRAINING = training_task("question-answering")


def answering(**head: bool) -> QuestionAnswering:
    return QuestionAnswering(facts_of({"head": {"settings": {}, **head}}), None)


def official_threshold(rows: Sequence[tuple[float, str, tuple[str, ...]]]) -> float:
    """Best sum of F1 found by the official threshold search of SQuAD 2.0."""
    best = current = float(sum(not answers for _, _, answers in rows))
    for _, candidate, answers in sorted(rows, key=lambda row: row[0]):
        current += f1(answers, candidate) if answers else -1
        best = max(best, current)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_threshold_has_the_best_f1_of_all(seed: int) -> None:
    random_ = random.Random(seed)
    rows = []
    for _ in range(60):
        answers = random_.choice([(), ("big cat",), ("cat",), ("dog", "big dog")])
        rows.append((random_.gauss(-1 if answers else 1, 1.5), random_.choice(["cat", "big dog", "x"]), answers))
    expected = [answers for _, _, answers in rows]
    predictions = [FoundAnswer("", None, None, 0.5, candidate, lead) for lead, candidate, _ in rows]
    task = answering(may_have_no_answer=True)
    tuned = TRAINING.tune(task, iter(predictions), expected)
    assert tuned == TRAINING.tune(task, predictions, expected)
    threshold = tuned["no_answer_threshold"]

    def total(cut: float) -> float:
        return sum(f1(answers, "" if lead > cut else candidate) for lead, candidate, answers in rows)

    assert total(threshold) == pytest.approx(official_threshold(rows), abs=1e-9)
    assert total(threshold) == pytest.approx(max(total(lead + step) for lead, _, _ in rows for step in (-1e-9, 1e-9)))
    # Halfway between two questions, so that other rounding on another machine changes neither.
    assert min(abs(threshold - lead) for lead, _, _ in rows) > 1e-6


def test_where_every_question_has_an_answer_nothing_is_predicted_to_choose_by() -> None:
    def never() -> Iterator[FoundAnswer]:
        pytest.fail("a prediction was asked for")
        yield

    assert TRAINING.tune(answering(), never(), [("cat",)]) == {}


@pytest.mark.parametrize(
    ("rows", "threshold"),
    [
        ([(1.0, "x", ()), (2.0, "x", ())], 0.5),
        ([(1.0, "cat", ("cat",)), (3.0, "cat", ("cat",))], 3.5),
        ([(1.0, "cat", ("cat",)), (3.0, "x", ())], 2.0),
        ([(3.0, "x", ()), (1.0, "cat", ("cat",))], 2.0),
        ([(2.0, "cat", ("cat",)), (2.0, "x", ()), (2.0, "x", ()), (9.0, "x", ())], 1.5),
        ([(2.0, "cat", ("cat",)), (2.0, "x", ()), (2.0, "cat", ("cat",)), (9.0, "x", ())], 5.5),
        ([(0.0, "x", ("cat",))], -0.5),
    ],
)
def test_thresholds_worked_out_by_hand(rows: list[tuple[float, str, tuple[str, ...]]], threshold: float) -> None:
    predictions = [FoundAnswer(candidate, 0, 1, 0.5, candidate, lead) for lead, candidate, _ in rows]
    task = answering(may_have_no_answer=True)
    assert TRAINING.tune(task, predictions, [answers for _, _, answers in rows]) == {"no_answer_threshold": threshold}


def test_a_model_that_always_answers_is_not_tuned() -> None:
    predictions = [FoundAnswer("x", 0, 1, 0.5, "x", None)]
    assert TRAINING.tune(answering(), predictions, [("x",)]) == {}


@pytest.mark.parametrize("metric", list(SPEC.metrics))
def test_the_score_in_training_is_the_devices(metric: str) -> None:
    expected, predicted = [("big cat",), (), ("a dog", "dogs")], ["cat", "", "dog"]
    table = SPEC.metrics[metric].table(expected, predicted)
    assert TRAINING.score(metric, expected, predicted) == SPEC.metrics[metric].figure(table)
    assert TRAINING.score("f1", expected, predicted) == pytest.approx((2 / 3 + 1 + 1) / 3)
