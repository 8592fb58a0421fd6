"""The tokens of a vocabulary: which must stay, which others each one needs, and the tokenizer made of those kept.

Works on the contents of `tokenizer.json`. Four kinds of tokenizer can be cut such that no known text becomes unknown,
and every text whose tokens stay is split as before:

- WordPiece takes the longest token that fits (Wu et al. 2016, arXiv:1609.08144). A longer one that did not fit before
  does not fit now, so a word whose tokens stay is split as before. Every other word is split into single characters at
  worst. (Some hand-made vocabularies lack a token for a single character. They keep the tokens that contain the
  character; a word that needs one of them may become unknown if an earlier token of the word is gone.)
- Byte-level BPE merges pairs in a fixed order (Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019). A word is
  merged as before if all its merges stay, so a token needs the tokens that it is merged from.
- BPE over characters is the same if it writes an unknown character in bytes (`byte_fallback`, as in Gemma's): every
  single character and every byte stays.
- Unigram takes the tokens whose scores have the largest sum (Kudo 2018, arXiv:1804.10959). If they all stay, every
  other split still has a smaller sum. The score of an unknown character is the vocabulary's lowest minus 10, so the
  token with the lowest score stays. Characters without a token of their own are handled as for WordPiece.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from edgebert.errors import SettingsError

Document = dict[str, Any]
SUPPORTED = "WordPiece, byte-level BPE, BPE over characters with byte_fallback and Unigram"
# Form of a byte of an unknown character.
BYTE = re.compile("<0x[0-9A-F]{2}>")
# A BPE model with one of these settings merges differently from the description above.
OTHER_BPE = ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "ignore_merges")


def check_supported(document: Document) -> None:
    """Refuse a tokenizer that cannot be cut.

    Raises:
        SettingsError: Names its kind, and those that can be cut.
    """
    model = document["model"]
    kind = str(model["type"])
    other = [name for name in OTHER_BPE if model.get(name)]
    if kind in ("WordPiece", "Unigram"):
        return
    if kind == "BPE":
        is_bytes = _is_byte_level(document.get("pre_tokenizer"))
        if other == ([] if is_bytes else ["byte_fallback"]):
            return
        kind = "byte-level BPE" if is_bytes else "BPE over characters"
        kind = f"{kind} with {', '.join(other)}" if other else kind
    raise SettingsError(f"[vocabulary]: a {kind} tokenizer cannot be cut, only {SUPPORTED}; leave the table out")


def always_kept(document: Document) -> set[int]:
    """Ids that stay whatever the corpus: special and added tokens, single characters or bytes.

    If a character has no token of its own (at the start of a word, or inside one), the tokens with the character in
    that position stay too.
    """
    model, vocabulary = document["model"], _numbers(document["model"])
    added = {token["content"]: int(token["id"]) for token in document["added_tokens"]}
    kept = {*added.values(), *_processor_ids(document.get("post_processor"))}
    if model.get("unk_token") in vocabulary:
        kept.add(vocabulary[model["unk_token"]])
    if model["type"] == "Unigram":
        kept |= _kept_of_unigram(model)
    if document.get("padding"):
        kept.add(int(document["padding"]["pad_id"]))
    if model["type"] == "BPE":
        kept |= {number for piece, number in vocabulary.items() if len(piece) == 1}
        return kept | _bytes(model, vocabulary)
    split = _splitter(model.get("continuing_subword_prefix") or "")
    ordinary = {piece: split(piece) for piece in vocabulary if piece not in added}
    alone = {(inside, text) for inside, text in ordinary.values() if len(text) == 1}

    def needed(inside: bool, text: str) -> bool:
        held = [(inside or at > 0, character) for at, character in enumerate(text)]
        return len(text) == 1 or any(one not in alone for one in held)

    return kept | {vocabulary[piece] for piece, parts in ordinary.items() if needed(*parts)}


def taken_along(document: Document) -> Callable[[int], set[int]]:
    """Map a token's id to the ids that must stay with it, itself included."""
    model = document["model"]
    if model["type"] != "BPE":
        return lambda number: {number}
    vocabulary: Mapping[str, int] = model["vocab"]
    pieces = {number: piece for piece, number in vocabulary.items()}
    ranks = {pair: rank for rank, pair in enumerate(_merges(model))}

    def needed(number: int) -> set[int]:
        passed = _merged_from(pieces[number], ranks) if number in pieces else set()
        return {number, *(vocabulary[piece] for piece in passed if piece in vocabulary)}

    return needed


def cut(document: Document, kept: Sequence[int]) -> Document:
    """Make the tokenizer of the kept tokens, numbered in the order of `kept`.

    Normalizer, pre-tokenizer and decoder stay; ids of special tokens are updated everywhere.
    """
    numbers = {old: new for new, old in enumerate(kept)}
    model = dict(document["model"])
    if model["type"] == "Unigram":
        pairs = model["vocab"]
        model["vocab"] = [pairs[old] for old in kept if old < len(pairs)]  # added tokens stand behind
        model["unk_id"] = numbers.get(model["unk_id"])
    else:
        numbered = sorted((numbers[old], piece) for piece, old in model["vocab"].items() if old in numbers)
        model["vocab"] = {piece: number for number, piece in numbered}
    if model["type"] == "BPE":
        known = model["vocab"]
        model["merges"] = [list(pair) for pair in _merges(model) if {*pair, "".join(pair)} <= known.keys()]
    smaller = {**document, "model": model}
    smaller["added_tokens"] = [{**token, "id": numbers[token["id"]]} for token in document["added_tokens"]]
    smaller["post_processor"] = _renumbered(document.get("post_processor"), numbers)
    if document.get("padding"):
        smaller["padding"] = {**document["padding"], "pad_id": numbers[document["padding"]["pad_id"]]}
    return smaller


def _numbers(model: Document) -> dict[str, int]:
    """Id of every token."""
    if model["type"] == "Unigram":
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}
    return dict(model["vocab"])


def _kept_of_unigram(model: Document) -> set[int]:
    """The unknown token, the token with the lowest score, and the bytes that encode unknown characters."""
    vocabulary: Sequence[tuple[str, float]] = model["vocab"]
    kept = {min(range(len(vocabulary)), key=lambda number: vocabulary[number][1])}
    kept |= _bytes(model, _numbers(model))
    return kept if model.get("unk_id") is None else kept | {model["unk_id"]}


def _bytes(model: Document, vocabulary: Mapping[str, int]) -> set[int]:
    """The bytes in which a model encodes unknown characters."""
    if not model.get("byte_fallback"):
        return set()
    return {number for piece, number in vocabulary.items() if BYTE.fullmatch(piece)}


def _is_byte_level(pre_tokenizer: Document | None) -> bool:
    parts = [pre_tokenizer or {}, *(pre_tokenizer or {}).get("pretokenizers", ())]
    return any(part.get("type") == "ByteLevel" for part in parts)


def _splitter(prefix: str) -> Callable[[str], tuple[bool, str]]:
    """Map a token to whether it continues a word, and to its characters."""

    def split(piece: str) -> tuple[bool, str]:
        inside = piece.startswith(prefix) and len(piece) > len(prefix)
        return inside, piece.removeprefix(prefix) if inside else piece

    return split


def _merges(model: Document) -> list[tuple[str, str]]:
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    return [(left, right) for left, right in pairs]


def _merged_from(piece: str, ranks: Mapping[tuple[str, str], int]) -> set[str]:
    """All tokens that are merged on the way from single bytes to a token."""
    parts = list(piece)
    passed = {piece, *parts}
    while len(parts) > 1:
        rank, at = min((ranks.get(pair, math.inf), at) for at, pair in enumerate(pairwise(parts)))
        if rank == math.inf:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        passed.add(parts[at])
    return passed


def _processor_ids(processor: Document | None) -> set[int]:
    """Ids that a post-processor adds around texts."""
    if processor is None:
        return set()
    found = {number for part in processor.get("processors", ()) for number in _processor_ids(part)}
    found |= {processor[name][1] for name in ("sep", "cls") if name in processor}
    special = processor.get("special_tokens", {})
    return found | {number for token in special.values() for number in token["ids"]}


def _renumbered(processor: Document | None, numbers: Mapping[int, int]) -> Document | None:
    if processor is None:
        return None
    changed = dict(processor)
    if "processors" in processor:
        changed["processors"] = [_renumbered(part, numbers) for part in processor["processors"]]
    for name in ("sep", "cls"):
        if name in processor:
            changed[name] = [processor[name][0], numbers[processor[name][1]]]
    if "special_tokens" in processor:
        special = processor["special_tokens"].items()
        changed["special_tokens"] = {
            name: {**token, "ids": [numbers[number] for number in token["ids"]]} for name, token in special
        }
    return changed
