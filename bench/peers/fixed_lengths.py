"""Texts with an exact number of tokens, made from the words of a data file."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tokenizers import Tokenizer

from edgebert.errors import DataError

COUNT = 8


def fixed_texts(tokenizer: Tokenizer, texts: Sequence[str], length: int, seed: int) -> list[str]:
    """Make eight texts of exactly `length` tokens, including special tokens.

    Raises:
        DataError: The words cannot be combined to this length.
    """
    tokenizer.no_padding()
    tokenizer.no_truncation()
    words = sorted({word for text in texts for word in text.split()})
    pieces = {word: len(tokenizer.encode(word, add_special_tokens=False).ids) for word in words}
    if 1 not in pieces.values():
        raise DataError("the data file has no word of a single token; give --data a file in the tokenizer's language")
    drawn = random.Random(seed)
    made = [_text(words, pieces, length - tokenizer.num_special_tokens_to_add(False), drawn) for _ in range(COUNT)]
    for text in made:
        if (found := len(tokenizer.encode(text).ids)) != length:
            raise DataError(f"words of the data file make {found} tokens, not {length}; is --data plain text?")
    return made


def _text(words: Sequence[str], pieces: dict[str, int], room: int, drawn: random.Random) -> str:
    chosen = []
    while room:
        word = drawn.choice(words)
        if 0 < pieces[word] <= room:
            chosen.append(word)
            room -= pieces[word]
    return " ".join(chosen)
