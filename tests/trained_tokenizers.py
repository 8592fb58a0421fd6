"""Tokenizers that tests train, the same in every process."""

import json
from collections.abc import Sequence

from tokenizers import Tokenizer


def numbered_alike(tokenizer: Tokenizer, special: Sequence[str]) -> Tokenizer:
    """Number a vocabulary that was just trained: special tokens first, then all others in alphabetical order.

    The WordPiece trainer of tokenizers 0.23 numbers the pieces that go on a word in another order in every process.
    A BPE has its ranks in its merges, not in its numbers.
    """
    document = json.loads(tokenizer.to_str())
    vocabulary = document["model"]["vocab"]
    ordered = [*special, *sorted(vocabulary.keys() - set(special))]
    document["model"]["vocab"] = {token: number for number, token in enumerate(ordered)}
    document["added_tokens"] = [each | {"id": ordered.index(each["content"])} for each in document["added_tokens"]]
    return Tokenizer.from_str(json.dumps(document))
