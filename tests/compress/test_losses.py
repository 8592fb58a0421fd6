"""Distillation losses: zero for equal inputs, otherwise positive, independent of padding, equal to hand-made values."""

import math

import pytest
import torch

from edgebert.compress import losses

MASK = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])


def states(seed: int, width: int = 8) -> torch.Tensor:
    return torch.randn(2, 4, width, generator=torch.Generator().manual_seed(seed))


def test_soft_target_equals_the_divergence_computed_by_hand() -> None:
    student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[2.0, 0.0]])
    p = 1 / (1 + math.exp(-1.0))
    expected = (p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)) * 4
    assert losses.soft_target(student, teacher, 2.0).item() == pytest.approx(expected, rel=1e-5)
    assert losses.soft_target(teacher, teacher, 2.0).item() == pytest.approx(0.0, abs=1e-7)


def test_hidden_state_is_the_mean_square_over_real_tokens() -> None:
    ours, theirs = torch.zeros(2, 4, 8), torch.full((2, 4, 8), 3.0)
    assert losses.hidden_state(ours, theirs, MASK).item() == pytest.approx(9.0)


@pytest.mark.parametrize("loss", ["hidden", "relation"])
def test_padding_does_not_count(loss: str) -> None:
    ours, theirs = states(1), states(2)
    spoilt = ours.clone()
    spoilt[0, 3] = 100.0
    if loss == "hidden":
        pair = [losses.hidden_state(x, theirs, MASK) for x in (ours, spoilt)]
    else:
        pair = [losses.relation(x, theirs, MASK, 2) for x in (ours, spoilt)]
    assert pair[0].item() == pytest.approx(pair[1].item(), rel=1e-6)
    assert pair[0].item() > 0


def test_relation_is_zero_for_the_same_states_and_ignores_the_width() -> None:
    theirs = states(3)
    assert losses.relation(theirs, theirs, MASK, 2).item() == pytest.approx(0.0, abs=1e-6)
    wider = theirs.view(2, 4, 2, 4).repeat_interleave(4, dim=-1).reshape(2, 4, 32) / 2**0.5
    assert losses.relation(wider, theirs, MASK, 2).item() == pytest.approx(0.0, abs=1e-5)


def test_relation_by_hand_for_two_tokens() -> None:
    ours, theirs = torch.zeros(1, 2, 1), torch.tensor([[[1.0], [0.0]]])
    mask = torch.ones(1, 2, dtype=torch.long)
    e = math.e
    p = e / (e + 1)
    first_row = p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)
    assert losses.relation(ours, theirs, mask, 1).item() == pytest.approx(first_row / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("student", "teacher", "most", "expected"), [(288, 384, 12, 12), (8, 32, 4, 4), (7, 32, 12, 1), (24, 32, 12, 8)]
)
def test_relation_heads_divide_both_widths(student: int, teacher: int, most: int, expected: int) -> None:
    assert losses.relation_heads(student, teacher, most) == expected
