"""Find which case and accents a checkpoint's tokenizer keeps, even if its two files disagree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

# BertNormalizer's settings in tokenizer.json: name in tokenizer_config.json, and transformers' default.
SETTINGS = {
    "lowercase": ("do_lower_case", True),
    "strip_accents": ("strip_accents", None),
    "handle_chinese_chars": ("tokenize_chinese_chars", True),
}


def normalizer_settings(folder: Path) -> dict[str, Json]:
    """Settings that make transformers normalize text as `tokenizer.json` does.

    transformers builds the normalizer from `tokenizer_config.json` and its own defaults, and ignores the one of
    `tokenizer.json`, which every other reader uses.

    Returns:
        Arguments of `from_pretrained`. Empty if the files agree. Empty too if `tokenizer.json` has no BERT normalizer,
        or combines it with others: no setting gives transformers the same result, and the file itself is used.

    Raises:
        CheckpointError: `tokenizer_config.json` contradicts it, or has settings that no normalizer can have.
    """
    normalizer = read_or_empty(folder / "tokenizer.json").get("normalizer")
    config = read_or_empty(folder / "tokenizer_config.json")
    found, alone = _of_bert(normalizer), isinstance(normalizer, dict) and normalizer.get("type") == "BertNormalizer"
    _check_switches(folder, config, found is not None)
    if found is None:
        return {}
    missing = {}
    for field, (name, default) in SETTINGS.items():
        wanted, stated = found.get(field, default), config.get(name)
        if stated is not None and stated != wanted:
            raise CheckpointError(
                f"{folder}: {field} is {json.dumps(wanted)} in tokenizer.json, but {name} is {json.dumps(stated)} in "
                "tokenizer_config.json; set both to what the model was trained with"
            )
        if stated is None and wanted != default:
            missing[name] = wanted
    return missing if alone else {}


def _check_switches(folder: Path, config: Mapping[str, Json], is_bert: bool) -> None:
    """Refuse settings with which transformers cannot make BERT's normalizer."""
    if not is_bert and ((folder / "tokenizer.json").is_file() or not (folder / "vocab.txt").is_file()):
        return
    for name, default in SETTINGS.values():
        if not isinstance(config.get(name, default), bool | type(default)):
            expected = "true or false" if default is not None else "true, false or null"
            raise CheckpointError(
                f"{folder / 'tokenizer_config.json'}: {name} is {json.dumps(config[name]):.40}; expected {expected}"
            )


def _of_bert(normalizer: object) -> dict[str, Json] | None:
    """Find the BertNormalizer in a tokenizer's normalizer, which may be a sequence."""
    if not isinstance(normalizer, dict):
        return None
    if normalizer.get("type") == "BertNormalizer":
        return normalizer
    several = normalizer.get("normalizers")
    found = (_of_bert(one) for one in (several if isinstance(several, list) else ()))
    return next((one for one in found if one is not None), None)


def read_or_empty(path: Path) -> dict[str, Json]:
    """Read a JSON object; empty if it is missing or invalid, which the tokenizer's own reader refuses."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
