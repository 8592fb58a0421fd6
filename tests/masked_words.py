"""Texts and token ids for masked words."""

import random

import torch
from conftest import NASTY, NICE

IDS = torch.tensor([[2, 8, 9, 4, 11, 3], [2, 4, 7, 3, 0, 0]])
SEEN = (IDS != 0).long()


def lines(count: int, seed: int) -> list[str]:
    """Sentences in which one word is repeated: a hidden word is next to its mask."""
    draw = random.Random(seed)
    return [" ".join([draw.choice([*NICE, *NASTY])] * draw.randint(4, 9)) for _ in range(count)]
