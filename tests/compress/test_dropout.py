"""Dropout with 16-bit masks: its rate, mean, gradient, random generator, and position in the model."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgebert.compress.dropout import QuickDropout, quick_dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_drops_its_share_and_keeps_the_mean(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    dropped = quick_dropout(torch.ones(1001, 999, dtype=dtype), p)
    assert dropped.dtype == dtype
    share = float((dropped == 0).float().mean())
    # Five standard deviations of a million draws.
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / 1e6) ** 0.5 + 1e-5)
    kept = dropped[dropped != 0]
    assert kept.unique().tolist() == pytest.approx([1 / (1 - p)], rel=0.004 if dtype == torch.bfloat16 else 2e-4)


def test_neighbours_fall_apart() -> None:
    torch.manual_seed(1)
    zero = (quick_dropout(torch.ones(1_000_000), 0.5) == 0).float() - 0.5
    for distance in (1, 2, 3, 4, 8):
        assert abs(float((zero[:-distance] * zero[distance:]).mean()) / 0.25) < 5e-3


def test_its_gradient_is_its_mask() -> None:
    values = torch.ones(64, 64, requires_grad=True)
    dropped = quick_dropout(values, 0.3)
    dropped.sum().backward()
    assert torch.equal(values.grad, dropped.detach())


def test_a_seed_gives_the_same_mask_and_the_next_call_another() -> None:
    def draw() -> torch.Tensor:
        return quick_dropout(torch.ones(333), 0.5)

    torch.manual_seed(5)
    first, second = draw(), draw()
    torch.manual_seed(5)
    assert torch.equal(first, draw())
    assert not torch.equal(first, second)


def test_nothing_or_everything_is_dropped_where_that_is_asked() -> None:
    values = torch.randn(7, 5)
    assert quick_dropout(values, 0.5, training=False) is values
    assert quick_dropout(values, 0.0) is values
    assert not quick_dropout(values, 1.0).any()


def test_every_dropout_within_is_the_quick_one_and_none_without() -> None:
    values, module = torch.ones(1000), nn.Dropout(0.25)
    for dropped in (lambda: module(values), lambda: functional.dropout(values, p=0.25)):
        torch.manual_seed(9)
        expected = quick_dropout(values, 0.25)
        torch.manual_seed(9)
        with QuickDropout():
            within = dropped()
        torch.manual_seed(9)
        assert torch.equal(within, expected)
        assert not torch.equal(dropped(), expected)
    with QuickDropout():
        assert module.eval()(values) is values


@pytest.mark.parametrize("p", [-0.1, 1.2])
def test_a_share_that_is_none_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="expected a share from 0 to 1"):
        quick_dropout(torch.ones(3), p)


def test_who_asks_for_his_own_tensor_back_gets_it() -> None:
    values = torch.ones(1000)
    with QuickDropout():
        functional.dropout(values, 0.5, inplace=True)
    assert 300 < int((values == 0).sum()) < 700
