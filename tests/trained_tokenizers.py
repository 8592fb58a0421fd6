"""WordPiece vocabularies for tests, the same in every process."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, models


def learn_wordpieces(tokenizer: Tokenizer, texts: Iterable[str], special: Sequence[str], size: int) -> Tokenizer:
    """Give a tokenizer the special tokens, every character, and the most frequent parts of words.

    The WordPiece trainer of tokenizers 0.23 numbers its pieces in another order in every process, and of equally
    frequent ones it takes others.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text)):
            counts.update(word[:end] for end in range(1, len(word) + 1))
            counts.update("##" + word[at:end] for at in range(1, len(word)) for end in range(at + 1, len(word) + 1))
    ordered = sorted(counts, key=lambda piece: (len(piece.removeprefix("##")) > 1, -counts[piece], piece))
    pieces = dict.fromkeys([*special, *ordered][:size])
    tokenizer.model = models.WordPiece({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>")
    return tokenizer
