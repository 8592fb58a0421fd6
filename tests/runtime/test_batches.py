"""Which texts run together: a batch never costs more than its texts one by one."""

import random

import pytest

from edgebert.runtime.batches import (
    ANY_LENGTHS,
    EQUAL_LENGTHS,
    LIKE_LENGTHS,
    MAX_TOKENS,
    SPARE_TOKENS,
    Batching,
)

MIXED = [5, 45, 6, 44, 12, 5, 30, 13, 29, 5]


def lengths_of(batching: Batching, lengths: list[int], size: int = 32) -> list[list[int]]:
    return [[lengths[at] for at in batch] for batch in batching.plan(lengths, size)]


def test_texts_of_nearly_one_length_share_a_batch_and_others_do_not() -> None:
    assert lengths_of(LIKE_LENGTHS, MIXED) == [[5, 5, 5, 6], [12, 13], [29, 30], [44, 45]]
    assert lengths_of(EQUAL_LENGTHS, MIXED) == [[5, 5, 5], [6], [12], [13], [29], [30], [44], [45]]
    assert lengths_of(ANY_LENGTHS, MIXED) == [sorted(MIXED)]


@pytest.mark.parametrize("size", [1, 2, 7, 32])
@pytest.mark.parametrize("batching", [EQUAL_LENGTHS, LIKE_LENGTHS, ANY_LENGTHS, Batching(SPARE_TOKENS, (8, 32, 128))])
def test_every_text_is_in_one_batch_of_at_most_so_many(batching: Batching, size: int) -> None:
    random_ = random.Random(size)
    lengths = [random_.randint(3, 140) for _ in range(200)]
    planned = list(batching.plan(lengths, size))
    assert sorted(at for batch in planned for at in batch) == list(range(200))
    assert all(1 <= len(batch) <= size for batch in planned)
    assert list(batching.plan([], size)) == []


@pytest.mark.parametrize("size", [2, 8, 32])
def test_padding_never_costs_more_than_the_runs_it_saves(size: int) -> None:
    random_ = random.Random(size)
    for _ in range(200):
        lengths = [random_.randint(3, 128) for _ in range(random_.randint(2, 100))]
        for batch in lengths_of(LIKE_LENGTHS, lengths, size):
            padding = len(batch) * max(batch) - sum(batch)
            assert padding <= SPARE_TOKENS * (len(batch) - 1)


@pytest.mark.parametrize("batching", [EQUAL_LENGTHS, LIKE_LENGTHS])
def test_a_batch_holds_no_more_tokens_than_a_cache(batching: Batching) -> None:
    assert [len(batch) for batch in lengths_of(batching, [128] * 20)] == [8, 8, 4]
    # A text that alone exceeds the limit still runs.
    assert lengths_of(batching, [2 * MAX_TOKENS] * 2) == [[2 * MAX_TOKENS]] * 2


def test_lengths_that_a_session_pads_to_by_itself_are_compared_padded() -> None:
    buckets = Batching(SPARE_TOKENS, (16, 64))
    assert lengths_of(buckets, [3, 17, 16, 60, 64]) == [[3, 16], [17, 60, 64]]
    assert lengths_of(buckets, [70, 64, 71]) == [[64], [70, 71]]
