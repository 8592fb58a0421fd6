"""Compare two tokenizers by what decides a text's ids and segments, however their files write it."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel

from edgebert.strict_json import Json

Document = Mapping[str, Any]
PARTS = ("normalizer", "pre_tokenizer", "model", "post_processor", "added_tokens")
# Parts that may be a sequence of several.
INNER = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors"}
# A byte-level vocabulary with all bytes has no unknown token.
OF_UNKNOWN = ("unk_token", "fuse_unk", "byte_fallback")


def differing_parts(one: Document, other: Document) -> list[str]:
    """Parts, under readable names, in which two `tokenizer.json` files may give a text different ids or segments.

    Settings that only change offsets or decoding, and two notations of one setting, do not count.
    """
    ours, theirs = _deciding(one), _deciding(other)
    return [part.replace("_", "-") for part in PARTS if ours[part] != theirs[part]]


def spaced_first(document: Document) -> bool | None:
    """Whether a space is added before a text that has none; None for a pre-tokenizer that does not use spaces."""
    for step in _flat(document, "pre_tokenizer"):
        if step["type"] == "ByteLevel":
            return bool(step["add_prefix_space"])
        if step["type"] == "Metaspace":
            return step.get("prepend_scheme") != "never"
    return None


def unknown_token(document: Document) -> str | None:
    """The unknown token; None if there is none."""
    model = document["model"]
    if model["type"] != "Unigram":
        token: str | None = model.get("unk_token")
        return token
    number = model.get("unk_id")
    return None if number is None else str(model["vocab"][number][0])


def _deciding(document: Document) -> dict[str, Json]:
    normalizers = [_normalizer(step) for step in _flat(document, "normalizer")]
    splitters = [_without(step, "trim_offsets") for step in _flat(document, "pre_tokenizer")]
    return {
        "normalizer": normalizers,
        "pre_tokenizer": splitters,
        "model": _model(document["model"], any(step["type"] == "ByteLevel" for step in splitters)),
        "post_processor": [_around(step) for step in _flat(document, "post_processor") if step["type"] != "ByteLevel"],
        "added_tokens": {token["id"]: _added(token, bool(normalizers)) for token in document["added_tokens"]},
    }


def _flat(document: Document, part: str) -> Iterator[Document]:
    """Return the steps of a part, one after the other."""
    step = document.get(part)
    if step is None:
        return
    if step["type"] != "Sequence":
        yield step
        return
    for inner in step[INNER[part]]:
        yield from _flat({part: inner}, part)


def _without(step: Document, *names: str) -> dict[str, Json]:
    return {name: value for name, value in step.items() if name not in names}


def _normalizer(step: Document) -> dict[str, Json]:
    """Normalize one step of a normalizer: BERT's strips accents if it lower-cases and does not say otherwise."""
    if step["type"] == "BertNormalizer" and step["strip_accents"] is None:
        return {**step, "strip_accents": step["lowercase"]}
    return dict(step)


def _model(model: Document, is_byte_level: bool) -> dict[str, Json]:
    if model["type"] == "Unigram":
        # tokenizers 0.23 reads a score with an error of one unit in the last place; SentencePiece uses float32.
        pieces, scores = zip(*model["vocab"], strict=True)
        return {**model, "vocab": pieces, "scores": array("f", scores)}
    if model["type"] != "BPE":
        return dict(model)
    found = {**model, **{name: model[name] or None for name in ("continuing_subword_prefix", "end_of_word_suffix")}}
    has_bytes = is_byte_level and set(model["vocab"]).issuperset(ByteLevel.alphabet())
    return _without(found, *OF_UNKNOWN) if has_bytes else found


def _around(step: Document) -> Json:
    """Ids and segments around one text and around two, from the post-processor."""
    kind = step["type"]
    if kind == "TemplateProcessing":
        ids = {name: token["ids"] for name, token in step["special_tokens"].items()}
        return [[_piece(piece, ids) for piece in step[texts]] for texts in ("single", "pair")]
    if kind not in ("BertProcessing", "RobertaProcessing"):
        return step
    first, end = (([step[name][1]], 0) for name in ("cls", "sep"))
    alone = [first, ("A", 0), end]
    if kind == "BertProcessing":
        return [alone, [*alone, ("B", 1), (end[0], 1)]]
    return [alone, [*alone, end, ("B", 0), end]]


def _piece(piece: Document, ids: Mapping[str, list[int]]) -> tuple[Json, int]:
    ((kind, inner),) = piece.items()
    return ids[inner["id"]] if kind == "SpecialToken" else inner["id"], inner["type_id"]


def _added(token: Document, is_normalized: bool) -> dict[str, Json]:
    """Options with which an added token is found in a text."""
    return {**_without(token, "special", "id"), "normalized": token["normalized"] and is_normalized}
