"""Question answering in training: targets, losses without padding, two outputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from manifests import facts_of

from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.batch import pad_batch
from edgebert.data.examples import Example
from edgebert.data.squad import Answer
from edgebert.errors import DataError
from edgebert.exporters.onnx import fast_module
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.tasks.question_answering.predict import QuestionAnswering
from edgebert.tasks.training_table import training_task

TRAINING = training_task("question-answering")

QUESTION = "is the film good"


def example(context: str, answer: str | None, line: int = 1) -> Example:
    label = () if answer is None else (Answer(answer, context.index(answer)), Answer(context, 0))
    return Example(QUESTION, context, label, line, "d.json")


def device_task(encoder: Any = None, **head: Any) -> QuestionAnswering:
    return QuestionAnswering(facts_of({"head": {"settings": {"stride": 4}, **head}}), encoder)


@pytest.fixture(scope="module")
def encoder(checkpoint: Path) -> TextEncoder:
    return TextEncoder(checkpoint / "tokenizer.json", 16)


def test_there_are_no_labels_and_no_answers_are_noted_where_training_has_them() -> None:
    answered, unanswered = example("a b", "b"), example("a b", None)

    def extra(**splits: list[Example]) -> dict[str, Any]:
        known = {"train": [], "validation": [], "test": []} | splits
        labels = TRAINING.read_labels(DataSettings(train="t.json"), known, Path("data"), None)
        assert (labels.values, labels.names) == ([], [])
        return labels.extra

    assert extra(train=[answered, unanswered]) == {"may_have_no_answer": True}
    assert extra(train=[answered], validation=[unanswered]) == {"may_have_no_answer": False}
    assert extra(validation=[answered, unanswered]) == {"may_have_no_answer": True}
    assert extra() == {"may_have_no_answer": False}


def test_data_that_teaches_nothing_is_refused() -> None:
    def refused(data: DataSettings, **splits: list[Example]) -> str:
        with pytest.raises(DataError) as caught:
            TRAINING.read_labels(data, {"train": [], "validation": [], "test": []} | splits, Path("data"), None)
        return str(caught.value)

    data = DataSettings(train="t.json")
    unknown = Example("who", "a b", None, 7, "t.json")
    assert refused(data, train=[example("a b", "b"), unknown]).startswith(
        "t.json: question 7: no 'answers'; expected a"
    )
    assert refused(data, validation=[unknown]).startswith("t.json: question 7: no 'answers'; expected a")
    assert (
        refused(data, train=[example("a b", None)])
        == "data/t.json: no question has an answer; expected at least one that has"
    )


def positions(encoder: TextEncoder, row: Example) -> tuple[list[Encoded], list[tuple[int, int]]]:
    task = device_task(encoder)
    windows = task.encode(task.given(row))
    targets = TRAINING.targets(task, row, windows)
    assert all(list(target) == ["start_positions", "end_positions"] for target in targets)
    return windows, [(target["start_positions"], target["end_positions"]) for target in targets]


@pytest.mark.parametrize("answer", ["good", "warm meal", "a warm meal!", "é", "cafe\u0301", "(so", "film"])
def test_targets_are_the_answers_tokens_in_every_window_that_holds_all_of_it(answer: str, encoder: TextEncoder) -> None:
    context = "é cafe\u0301 (so good) was the play and a warm meal! and the story was very lovely: film"
    windows, targets = positions(encoder, example(context, answer))
    start, end = context.index(answer), context.index(answer) + len(answer)
    held = 0
    for window, (first, last) in zip(windows, targets, strict=True):
        inside = [offset for offset in window.offsets if offset]
        # The last combining accent is not part of any token.
        whole = inside[0][0] <= start and inside[-1][1] >= end - answer.endswith("\u0301")
        assert (first, last) != (0, 0) if whole else (first, last) == (0, 0)
        if whole:
            held += 1
            opening, closing = window.offsets[first], window.offsets[last]
            assert opening is not None
            assert closing is not None
            assert opening[0] == start
            assert closing[1] == end - answer.endswith("\u0301")
    assert len(windows) > 3
    assert 0 < held < len(windows)


def test_an_answer_inside_a_word_points_to_the_tokens_that_it_touches(encoder: TextEncoder) -> None:
    (window,), ((first, last),) = positions(encoder, example("a zyx b", "y"))
    assert (window.offsets[first], window.offsets[last]) == ((3, 4), (3, 4))


def test_questions_without_an_answer_point_to_cls_and_unlabelled_ones_nowhere(encoder: TextEncoder) -> None:
    context = "the good film was a play " * 4
    windows, targets = positions(encoder, example(context, None))
    assert targets == [(0, 0)] * len(windows)
    _, targets = positions(encoder, Example(QUESTION, context, None, 1))
    assert targets == [(-100, -100)] * len(windows)
    _, targets = positions(encoder, example("a \u200b\u200b b", "\u200b\u200b"))
    assert targets == [(-100, -100)]


def batch_of(lengths: Sequence[int], targets: Sequence[tuple[int, int]]) -> dict[str, torch.Tensor]:
    return pad_batch(
        [
            {"input_ids": [5] * length, "token_type_ids": [0] * length, "start_positions": start, "end_positions": end}
            for length, (start, end) in zip(lengths, targets, strict=True)
        ]
    )


def logits(shape: tuple[int, int], seed: int, fill: float = 0.0, lengths: Sequence[int] = ()) -> Any:
    """Start and end logits, with `fill` after the length of each row."""
    made = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32))
    for row, length in enumerate(lengths):
        made[:, row, length:] = fill
    return tuple(made)


def test_the_hard_loss_is_transformers_own_where_nothing_is_padded(checkpoint: Path) -> None:
    model = checkpoints.load_model(checkpoint, "question-answering", []).eval()
    batch = batch_of([9, 9, 9], [(0, 0), (3, 5), (8, 8)])
    result = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
    theirs = model(**batch).loss
    assert TRAINING.hard_loss(TRAINING.outputs(result), batch).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_logits_of_padding_are_not_heard() -> None:
    lengths = [9, 4, 6]
    batch = batch_of(lengths, [(1, 8), (3, 3), (0, 0)])
    teacher = logits((3, 9), 2)
    figures = []
    for fill in (0.0, 100.0, -1e4):
        ours = tuple(part.requires_grad_() for part in logits((3, 9), 1, fill, lengths))
        theirs = logits((3, 9), 3, -fill, lengths)
        hard, soft = TRAINING.hard_loss(ours, batch), TRAINING.soft_loss(ours, theirs, batch, 2.0)
        (hard + soft).backward()
        for part in ours:
            assert part.grad is not None
            assert part.grad[batch["attention_mask"] == 0].abs().max() == 0
            assert part.grad[batch["attention_mask"] == 1].abs().min() > 0
        figures.append((hard.item(), soft.item()))
    assert figures[0] == figures[1] == figures[2]
    assert TRAINING.soft_loss(teacher, teacher, batch, 2.0).item() == pytest.approx(0, abs=1e-6)


def test_the_losses_of_a_padded_batch_are_the_means_of_its_rows() -> None:
    lengths, targets = [7, 3, 5], [(1, 6), (0, 0), (2, 3)]
    ours, theirs = logits((3, 7), 1, 9.0, lengths), logits((3, 7), 4, -9.0, lengths)
    whole = batch_of(lengths, targets)
    alone = []
    for row, length in enumerate(lengths):
        batch = batch_of([length], [targets[row]])
        own, other = (tuple(part[row : row + 1, :length] for part in parts) for parts in (ours, theirs))
        alone.append((TRAINING.hard_loss(own, batch).item(), TRAINING.soft_loss(own, other, batch, 3.0).item()))
    hard, soft = np.mean(alone, axis=0)
    assert TRAINING.hard_loss(ours, whole).item() == pytest.approx(hard, rel=1e-5)
    assert TRAINING.soft_loss(ours, theirs, whole, 3.0).item() == pytest.approx(soft, rel=1e-5)


def test_the_soft_loss_is_the_mean_divergence_of_start_and_end() -> None:
    ours, theirs, temperature = logits((1, 6), 1), logits((1, 6), 2), 4.0
    expected = 0.0
    for student, teacher in zip(ours, theirs, strict=True):
        p, q = torch.softmax(teacher[0] / temperature, -1), torch.softmax(student[0] / temperature, -1)
        expected += float((p * (p / q).log()).sum()) * temperature**2 / 2
    batch = batch_of([6], [(0, 0)])
    assert TRAINING.soft_loss(ours, theirs, batch, temperature).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.05, 100.0])
def test_the_soft_loss_is_finite_at_every_temperature(temperature: float) -> None:
    batch = batch_of([6, 2], [(0, 0), (0, 0)])
    assert torch.isfinite(TRAINING.soft_loss(logits((2, 6), 1), logits((2, 6), 2), batch, temperature))


def test_unlabelled_questions_have_no_hard_loss() -> None:
    ours = logits((2, 5), 1)
    both = TRAINING.hard_loss(ours, batch_of([5, 5], [(1, 2), (-100, -100)]))
    alone = TRAINING.hard_loss(tuple(part[:1] for part in ours), batch_of([5], [(1, 2)]))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    assert TRAINING.hard_loss(ours, batch_of([5, 5], [(-100, -100)] * 2)).item() == 0


def test_a_model_without_labels_has_two_outputs_a_token_and_keeps_them(checkpoint: Path, tmp_path: Path) -> None:
    model = checkpoints.load_model(checkpoint, "question-answering", [], seed=3).eval()
    assert (model.qa_outputs.out_features, model.config.num_labels) == (2, 2)
    checkpoints.save_model(model, checkpoints.load_tokenizer(checkpoint), tmp_path / "m")
    again = checkpoints.load_model(tmp_path / "m", "question-answering", [], seed=4).eval()
    assert torch.equal(again.qa_outputs.weight, model.qa_outputs.weight)
    assert checkpoints.has_head(tmp_path / "m", "question-answering", [])
    assert not checkpoints.has_head(checkpoint, "question-answering", [])


def test_the_rewritten_graph_gives_the_models_logits_at_every_length(checkpoint: Path) -> None:
    model = checkpoints.load_model(checkpoint, "question-answering", []).eval()
    fast = fast_module(model, TRAINING, 2, 48)
    for lengths in ([2], [7, 31, 48], [48] * 3):
        random_ = np.random.default_rng(len(lengths))
        batch = pad_batch(
            [
                {
                    "input_ids": random_.integers(5, 60, length).tolist(),
                    "token_type_ids": (np.arange(length) > length // 3).astype(int).tolist(),
                }
                for length in lengths
            ]
        )
        with torch.no_grad():
            plain, rewritten = TRAINING.outputs(model(**batch)), fast(**batch)
        assert len(plain) == len(rewritten) == 2
        real = batch["attention_mask"] == 1
        for ours, theirs in zip(rewritten, plain, strict=True):
            assert ours.shape == theirs.shape == (len(lengths), max(lengths))
            torch.testing.assert_close(ours[real], theirs[real], rtol=0, atol=1e-5)
            assert theirs[real].std() > 0.01
