"""Students made from teacher layers: which weights they copy, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from edgebert.compress import arch, checkpoint
from edgebert.compress.distill import PROJECTION, Objective
from edgebert.compress.student import make_student
from edgebert.errors import SettingsError
from edgebert.recipe import DistillLoss
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


@pytest.fixture
def teacher(classifier_checkpoint: Path) -> Any:
    return checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()


IDS = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 9, 3, 0]])
MASK = (IDS != 0).long()


def test_the_student_has_exactly_the_chosen_layers(teacher: Any) -> None:
    student = make_student(teacher, (0, 2))
    ours, theirs = arch.encoder_layers(student), arch.encoder_layers(teacher)
    assert len(ours) == student.config.num_hidden_layers == 2
    for mine, theirs_ in ((ours[0], theirs[0]), (ours[1], theirs[2])):
        for left, right in zip(mine.parameters(), theirs_.parameters(), strict=True):
            assert torch.equal(left, right)


def test_all_layers_make_a_student_that_answers_as_the_teacher(teacher: Any) -> None:
    student = make_student(teacher, (0, 1, 2)).eval()
    with torch.no_grad():
        pair = [model(input_ids=IDS, attention_mask=MASK).logits for model in (student, teacher)]
    assert torch.equal(*pair)


def test_a_narrow_student_is_narrow_everywhere_runs_and_reloads(
    teacher: Any, classifier_checkpoint: Path, tmp_path: Path
) -> None:
    student = make_student(teacher, (0, 2), hidden_size=16).eval()
    assert {p.shape[-1] for n, p in student.named_parameters() if "embeddings" in n} == {16}
    checkpoint.save_model(student, checkpoint.load_tokenizer(classifier_checkpoint), tmp_path)
    again = checkpoint.load_model(tmp_path, "text-classification", ["a", "b"]).eval()
    with torch.no_grad():
        pair = [model(input_ids=IDS, attention_mask=MASK).logits for model in (student, again)]
    assert torch.equal(*pair)


@pytest.mark.parametrize(("layers", "width", "says"), [((0, 3), 0, "has 3 layers"), ((0,), 12, "multiple of the head")])
def test_what_cannot_be_made_is_refused(teacher: Any, layers: tuple[int, ...], width: int, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        make_student(teacher, layers, width)


@pytest.mark.parametrize("width", [0, 16])
def test_every_loss_reaches_the_student_and_none_the_teacher(teacher: Any, width: int) -> None:
    student = make_student(teacher, (0, 2), width).train()
    objective = Objective(teacher, student, (0, 2), DistillLoss(hard=1.0, soft=1.0, hidden=1.0, relation=1.0), TRAINING)
    batch = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": torch.zeros_like(IDS)}
    objective(student, {**batch, "labels": torch.tensor([0, -100])}).backward()
    assert all(p.grad is not None for n, p in student.named_parameters() if "embeddings" in n or "query" in n)
    assert all(p.grad is None for p in teacher.parameters())
    assert hasattr(student, PROJECTION) == bool(width)
    objective.detach(student)
    assert not hasattr(student, PROJECTION)


def test_the_best_loss_is_that_of_the_teacher_itself(teacher: Any) -> None:
    student = make_student(teacher, (0, 1, 2)).eval()
    objective = Objective(teacher, student, (0, 1, 2), DistillLoss(soft=1.0, hidden=1.0, relation=1.0), TRAINING)
    batch = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": torch.zeros_like(IDS)}
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        loss = objective(student, {**batch, "labels": torch.tensor([-100, -100])})
    assert loss.item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(
    ("weights", "expected"), [({"soft": 2.0}, 2 * 0.5), ({"hard": 3.0}, 3 * 0.25), ({"soft": 2.0, "hard": 3.0}, 1.75)]
)
def test_the_losses_of_the_outputs_are_the_tasks_own_in_their_weights(
    teacher: Any, weights: dict[str, float], expected: float
) -> None:
    """A task of another kind: other outputs and losses, the same objective."""

    class Other:
        def outputs(self, result: Any) -> tuple[torch.Tensor, ...]:
            return (result.logits, result.hidden_states)

        def soft_loss(self, ours: Any, theirs: Any, batch: Any, temperature: float) -> torch.Tensor:
            assert ours[0].requires_grad
            assert not theirs[0].requires_grad
            assert temperature == 3.0
            return 0.0 * ours[0].sum() + batch["half"]

        def hard_loss(self, ours: Any, batch: Any) -> torch.Tensor:
            return 0.0 * ours[0].sum() + batch["half"] ** 2

    task: Any = Other()
    student = make_student(teacher, (0, 2)).train()
    given = {"soft": 0.0, "hard": 0.0, "hidden": 0.0} | weights
    objective = Objective(teacher, student, (0, 2), DistillLoss(**given, temperature=3.0), task)
    batch = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": torch.zeros_like(IDS)}
    assert objective(student, {**batch, "half": torch.tensor(0.5)}).item() == pytest.approx(expected)
