"""Segment ids for a tokenizer that has none: both texts of a pair then get segment 0."""

from __future__ import annotations

import json
from typing import Any

from tokenizers import Tokenizer

Processor = dict[str, Any]


def in_one_segment(tokenizer: Tokenizer) -> Tokenizer:
    """Copy a tokenizer so that both texts of a pair, and every special token, get segment 0."""
    document = json.loads(tokenizer.to_str())
    document["post_processor"] = _in_one(document["post_processor"])
    return Tokenizer.from_str(json.dumps(document))


def _in_one(processor: Processor | None) -> Processor:
    kind = None if processor is None else processor["type"]
    if processor is None or kind == "ByteLevel":
        plain = _template([_text("A")], [_text("A"), _text("B")], {})
        return plain if processor is None else {"type": "Sequence", "processors": [processor, plain]}
    if kind == "TemplateProcessing":
        return processor | {form: [_first(part) for part in processor[form]] for form in ("single", "pair")}
    if kind == "BertProcessing":
        (start, first), (end, last) = processor["cls"], processor["sep"]
        single = [_special(start), _text("A"), _special(end)]
        return _template(single, [*single, _text("B"), _special(end)], {start: first, end: last})
    if kind == "Sequence":
        return processor | {"processors": [_in_one_if_placing(each) for each in processor["processors"]]}
    return processor  # RoBERTa's own has no segments


def _in_one_if_placing(processor: Processor) -> Processor:
    return processor if processor["type"] == "ByteLevel" else _in_one(processor)


def _first(part: Processor) -> Processor:
    return {kind: value | {"type_id": 0} for kind, value in part.items()}


def _text(name: str) -> Processor:
    return {"Sequence": {"id": name, "type_id": 0}}


def _special(token: str) -> Processor:
    return {"SpecialToken": {"id": token, "type_id": 0}}


def _template(single: list[Processor], pair: list[Processor], tokens: dict[str, int]) -> Processor:
    special = {token: {"id": token, "ids": [number], "tokens": [token]} for token, number in tokens.items()}
    return {"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": special}
