"""A model of every task with a hand-made session: real tokenizers and decoding, but no graph."""

from pathlib import Path
from typing import Any

import numpy as np
from manifests import facts_of
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE, WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer, ByteLevel
from tokenizers.processors import TemplateProcessing

from edgebert.data.tags import tag_set
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.model import Model
from edgebert.tasks.table import device_task

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["film", "good", "the", "cafe", "##s", "i̇", "ss", "한", "が", "中", "!", ".", "-", "é"]
TAGS = tag_set(["a", "b"], "BIO")
# Labels, head and number of outputs of every task.
TASKS: dict[str, tuple[list[str], dict[str, Any], int]] = {
    "text-classification": (["x", "y", "z"], {"settings": {}}, 1),
    "multi-label": (["x", "y", "z"], {"settings": {}, "thresholds": [0.5, 0.4, 0.6]}, 1),
    "regression": ([], {"settings": {"low": 0.0, "high": 5.0}}, 1),
    "rerank": ([], {"settings": {}}, 1),
    "token-classification": (TAGS, {"settings": {}}, 1),
    "intent-slots": (["x", "y"], {"settings": {}, "tags": TAGS}, 2),
    "question-answering": ([], {"settings": {}, "may_have_no_answer": True}, 2),
    "similarity": ([], {"settings": {}}, 1),
    "fill-mask": ([], {"settings": {}}, 1),
}
WIDTHS = {
    "regression": (1,),
    "rerank": (1,),
    "token-classification": (5,),
    "intent-slots": (2, 5),
    "question-answering": (0, 0),
}


class ByTokens:
    """Outputs that depend only on the token ids, not on other texts of the batch."""

    batching = ANY_LENGTHS

    def __init__(self, task: str, per_token: tuple[bool, ...], vocabulary: int) -> None:
        widths = WIDTHS.get(task, (vocabulary if task == "fill-mask" else 3,))
        self.task, random = task, np.random.default_rng(7)
        self.tables = [random.normal(0, 3, (vocabulary, max(1, width))) for width in widths]
        self.widths, self.per_token = widths, per_token

    def run(self, inputs: dict[str, Any]) -> Any:
        ids, mask = inputs["input_ids"], inputs["attention_mask"][..., None]
        outputs = []
        for table, width, rows in zip(self.tables, self.widths, self.per_token, strict=True):
            values = table[ids] * mask
            values = values if rows else values.sum(1) / mask.sum(1)
            # As the graph of a sentence model does it.
            values = values if self.task != "similarity" else values / np.linalg.norm(values, axis=-1, keepdims=True)
            outputs.append((values if width else values[..., 0]).astype(np.float32))
        return tuple(outputs)


def wordpiece(folder: Path) -> Path:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{letter}" for letter in LETTERS), *WORDS]
    numbers = {word: at for at, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(WordPiece(numbers, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return _saved(tokenizer, "[CLS]", "[SEP]", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], folder)


def byte_level(folder: Path) -> Path:
    """As RoBERTa has it: every byte is a character of the vocabulary, and a space belongs to the word behind it."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "a"), ("g", "o"), ("Ã", "©"), ("ð", "Ł")]
    letters = sorted(ByteLevel.alphabet())
    numbers = {word: at for at, word in enumerate([*special, *letters, *("".join(pair) for pair in merges)])}
    tokenizer = Tokenizer(BPE(numbers, merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return _saved(tokenizer, "<s>", "</s>", special, folder)


def _saved(tokenizer: Tokenizer, first: str, last: str, special: list[str], folder: Path) -> Path:
    tokenizer.add_special_tokens(special)
    tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (first, last)],
    )
    path = folder / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def make_model(task: str, tokenizer: Path, segments: int = 1, max_length: int = 24) -> Model:
    labels, head, _ = TASKS[task]
    kind = device_task(task)
    encoder = TextEncoder(tokenizer, max_length)
    manifest = {"labels": labels, "inputs": ["input_ids", "attention_mask", "token_type_ids"], "head": head}
    manifest |= {"segments": segments, "data": {}, "max_length": max_length}
    session = ByTokens(task, tuple(kind.spec.outputs.values()), encoder.vocabulary_size)
    facts = facts_of(manifest)
    return kind(facts, encoder).model(facts, session)
