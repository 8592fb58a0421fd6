"""Tokenizers for every way of splitting texts, with and without a mark at the start of a word."""

from pathlib import Path
from typing import Any

import transformers
from family_checkpoints import PIECES, byte_pairs, make_tokenizer
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

BYTES = ["byte-level adds", "byte-level bare", "sequence adds", "sequence bare", "roberta adds", "roberta bare"]
METASPACE = ["metaspace always", "metaspace first", "metaspace never"]


def byte_level(folder: Path, splitter: Any, adds: bool) -> None:
    vocabulary, merges = byte_pairs()
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = splitter
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=adds)
    general(tokenizer, folder)


def unigram(folder: Path, scheme: str) -> None:
    letters = [(letter, -4.0) for letter in "abcdefghijklmnopqrstuvwxyz.-()"]
    words = [(f"▁{word}", -2.0) for word in ("the", "film", "is", "good", "a")]
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = Tokenizer(models.Unigram([*special, ("▁", -3.0), *letters, *words], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    general(tokenizer, folder)


def general(tokenizer: Tokenizer, folder: Path) -> None:
    names = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


def in_sequence(add: bool) -> Any:
    split = pre_tokenizers.Split(Regex("[-]"), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=add)])


def make(folder: Path, kind: str) -> None:
    """Save a tokenizer of one of the kinds above, or the usual one of a family."""
    name, _, setting = kind.partition(" ")
    if name == "byte-level":
        byte_level(folder, pre_tokenizers.ByteLevel(add_prefix_space=setting == "adds"), setting == "adds")
    elif name == "sequence":
        byte_level(folder, in_sequence(setting == "adds"), setting == "adds")
    elif name == "metaspace":
        unigram(folder, setting)
    elif name == "roberta":
        vocabulary, merges = byte_pairs()
        transformers.RobertaTokenizer(
            vocab=vocabulary, merges=merges, add_prefix_space=setting == "adds"
        ).save_pretrained(folder)
    else:
        make_tokenizer(name, PIECES).save_pretrained(folder)
