"""Tiny checkpoints of every family, made from a seed; every weight differs from its initial value."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conftest import WORDS

BERT_LIKE = ("bert", "distilbert", "electra", "mobilebert")
UNIGRAM = ("xlm-roberta", "camembert")
ROBERTA_LIKE = ("roberta", *UNIGRAM)
FAMILIES = (*BERT_LIKE, *ROBERTA_LIKE, "mpnet", "modernbert", "deberta-v2", "deberta", "albert")
COUNT_PADDING = (*ROBERTA_LIKE, "mpnet")
STANDARD = ("bert", "distilbert", "electra", *ROBERTA_LIKE)
PLAIN = tuple(family for family in FAMILIES if family not in STANDARD)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDPIECES = [*SPECIAL, *WORDS, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
# "a" is a word and a letter: numbered once, every piece has a row.
PIECES = list(dict.fromkeys(WORDPIECES))
PAIRED = [("a good film", "a great film"), ("the story was dull", "a warm meal"), ("so bad", "it was cold and poor")]


def make_family(
    folder: Path,
    family: str,
    head: str = "SequenceClassification",
    seed: int = 0,
    tokenizer: Any = None,
    **config: Any,
) -> Path:
    """A folder as transformers 5 saves it: 3 layers, 32 wide, 4 heads, 64 neurons, room for 64 tokens.

    `head` ends the name of an AutoModel class; empty for the encoder alone. `tokenizer`: one in the place of the usual.
    """
    import torch
    import transformers

    tokenizer = tokenizer or make_tokenizer(family)
    model_class = getattr(transformers, f"AutoModelFor{head}" if head else "AutoModel")
    torch.manual_seed(seed)
    model = model_class.from_config(make_config(family, max(tokenizer.get_vocab().values()) + 1, **config))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_config(family: str, vocabulary: int, **more: Any) -> Any:
    import transformers

    sizes: dict[str, Any] = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 32}
    sizes |= {"vocab_size": vocabulary, "max_position_embeddings": 64, "initializer_range": 0.08}
    sizes |= {"hidden_dim": 64} if family == "distilbert" else {"intermediate_size": 64}
    own: dict[str, dict[str, Any]] = {
        **{each: {"embedding_size": 16} for each in ("electra", "albert")},
        "deberta": {"relative_attention": True, "pos_att_type": "c2p|p2c", "position_biased_input": False},
        **{each: {"max_position_embeddings": 66, "type_vocab_size": 1} for each in COUNT_PADDING},
        "modernbert": {"local_attention": 8, **special_ids(("pad", 3), ("bos", 1), ("cls", 1), ("eos", 2), ("sep", 2))},
        # As in the config of DeBERTa v3.
        "deberta-v2": {
            **{"relative_attention": True, "pos_att_type": "p2c|c2p", "position_buckets": 8, "share_att_key": True},
            **{"norm_rel_ebd": "layer_norm", "position_biased_input": False, "max_relative_positions": -1},
        },
        "mobilebert": {"embedding_size": 16, "intra_bottleneck_size": 16, "num_feedforward_networks": 2},
    }
    return transformers.AutoConfig.for_model(family, **{**sizes, **own.get(family, {}), **more})


def special_ids(*ids: tuple[str, int]) -> dict[str, int]:
    return {f"{token}_token_id": number for token, number in ids}


def make_whole(folder: Path, family: str, head: str = "SequenceClassification", **more: Any) -> Path:
    """`make_family` with a row in the word table for every token of the tokenizer."""
    return make_family(folder, family, head, **{"tokenizer": make_tokenizer(family, PIECES), **more})


def make_tokenizer(family: str, pieces: list[str] = WORDPIECES) -> Any:
    import transformers

    if family == "roberta":
        vocabulary, merges = byte_pairs()
        return transformers.RobertaTokenizer(vocab=vocabulary, merges=merges)
    if family == "modernbert":
        return modern_tokenizer()
    if family == "xlm-roberta":
        return transformers.XLMRobertaTokenizer(vocab=unigrams(["<s>", "<pad>", "</s>", "<unk>"]))
    if family == "deberta-v2":
        return transformers.DebertaV2Tokenizer(vocab=unigrams(["[PAD]", "[CLS]", "[SEP]", "[UNK]"], "[MASK]"))
    if family == "albert":
        return transformers.AlbertTokenizer(vocab=unigrams(["<pad>", "<unk>", "[CLS]", "[SEP]"], "[MASK]"))
    if family == "deberta":
        vocabulary, merges = byte_pairs(("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"))
        return transformers.DebertaTokenizer(vocab=vocabulary, merges=merges)
    if family == "mpnet":
        special = ["<s>", "<pad>", "</s>", "[UNK]", *(piece for piece in pieces if piece not in SPECIAL), "<mask>"]
        return transformers.MPNetTokenizer(vocab={token: index for index, token in enumerate(special)})
    if family == "camembert":
        # As camembert-base numbers them: fairseq's four, the unknown token of SentencePiece, then its own two.
        special = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED", "<s>", "</s>"]
        return transformers.CamembertTokenizer(vocab=unigrams(special))
    classes = {"distilbert": "DistilBertTokenizer", "mobilebert": "MobileBertTokenizer"}
    return getattr(transformers, classes.get(family, "BertTokenizer"))(
        vocab={token: index for index, token in enumerate(pieces)}
    )


def modern_tokenizer() -> Any:
    """Byte-level BPE as in ModernBERT: a normalizer, spaces as added tokens, a mask that strips a space."""
    import transformers
    from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE
    from tokenizers.processors import TemplateProcessing

    special = ("[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]")
    vocabulary, merges = byte_pairs(special)
    tokenizer = Tokenizer(BPE(vocabulary, merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.add_special_tokens([AddedToken(token, special=True, lstrip=token == "[MASK]") for token in special])
    tokenizer.add_tokens([AddedToken("  "), AddedToken("   ")])
    tokenizer.post_processor = TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 1), ("[SEP]", 2)]
    )
    names = {f"{token.strip('[]').lower()}_token": token for token in special}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "attention_mask"], **names
    )


def byte_pairs(
    special: Sequence[str] = ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a byte-level BPE over the words of the test data, in RoBERTa's order."""
    from tokenizers import Tokenizer
    from tokenizers.models import BPE
    from tokenizers.pre_tokenizers import ByteLevel
    from tokenizers.trainers import BpeTrainer

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    trainer = BpeTrainer(
        vocab_size=340, special_tokens=[*special], initial_alphabet=ByteLevel.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator([" ".join(WORDS)] * 4, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def unigrams(special: list[str], mask: str = "<mask>") -> list[tuple[str, float]]:
    """Vocabulary of a Unigram model over the words of the test data: special tokens first, the mask last."""
    letters = [(letter, -6.0) for letter in sorted({*LETTERS, *"".join(WORDS)})]
    words = [(f"▁{word}", -2.0 - number / 100) for number, word in enumerate(dict.fromkeys(WORDS)) if len(word) > 1]
    parts = [(word[at:], -4.0) for word in sorted({*WORDS}) for at in (2, 3) if len(word) > at + 1]
    ordinary = dict([("▁", -3.0), *letters, *parts, *words])
    return [*((token, 0.0) for token in special), *ordinary.items(), (mask, 0.0)]
