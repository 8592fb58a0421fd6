"""WordPiece, BPE and Unigram vocabularies for tests, equal in every process."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers


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


def learn_unigrams(tokenizer: Tokenizer, texts: Iterable[str], special: Sequence[str], size: int) -> Tokenizer:
    """Give a tokenizer the special tokens, every character, the most frequent parts of words, and scores for them.

    The Unigram trainer of tokenizers 0.23 gives other scores in every process, and sometimes other ids.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        normalized = text if tokenizer.normalizer is None else tokenizer.normalizer.normalize_str(text)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normalized):
            counts.update(word[at:end] for at in range(len(word)) for end in range(at + 1, len(word) + 1))
    ordered = sorted(counts, key=lambda piece: (len(piece) > 1, -counts[piece], piece))
    total = counts.total()
    pieces = [(piece, math.log(counts[piece] / total)) for piece in ordered[: size - len(special)]]
    vocabulary = [*((token, 0.0) for token in special), *pieces]
    tokenizer.model = models.Unigram(vocabulary, unk_id=special.index("<unk>"))
    return tokenizer


def learn_fallback(texts: Iterable[str], special: Sequence[str], size: int) -> Tokenizer:
    """A tokenizer like Gemma's: BPE over characters, a text is one word, unknown characters become bytes."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = normalizers.Replace(" ", "\u2581")
    trainer = trainers.BpeTrainer(vocab_size=size - 256, special_tokens=[*special], show_progress=False)
    learner.train_from_iterator(texts, trainer)
    model = json.loads(learner.to_str())["model"]
    pieces = sorted(model["vocab"], key=model["vocab"].__getitem__)
    every = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *pieces[len(special) :]]
    numbers = {piece: number for number, piece in enumerate(every)}
    merges = [tuple(pair) for pair in model["merges"]]
    tokenizer = Tokenizer(models.BPE(numbers, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = learner.normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer
