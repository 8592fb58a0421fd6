"""Load a checkpoint's tokenizer so that its ids match its own `tokenizer.json`."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import transformers
from tokenizers import Tokenizer, normalizers

from edgebert.compress import distributed
from edgebert.compress.around_texts import check_texts_once
from edgebert.compress.families import DEBERTA_V1, FAMILIES
from edgebert.compress.json_file import read_object, whole
from edgebert.compress.model_folder import TOKENIZER_SETTINGS
from edgebert.compress.normalizer import normalizer_settings, read_or_empty
from edgebert.compress.same_tokens import differing_parts, spaced_first, unknown_token
from edgebert.compress.segments import in_one_segment
from edgebert.compress.sentence_folder import lower_cases
from edgebert.errors import CheckpointError
from edgebert.runtime.encode import panic_reason
from edgebert.strict_json import Json, table_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

LOG = logging.getLogger(__name__)

SPECIAL_TOKENS = ("cls_token", "sep_token", "pad_token")
NAMED_TOKENS = (*SPECIAL_TOKENS, "unk_token", "mask_token", "bos_token", "eos_token")
SETTINGS = ("model_max_length", "padding_side", "truncation_side", "model_input_names")
SEGMENT_INPUT = "token_type_ids"
# These change with every use of a tokenizer, and do not affect how it splits a text.
PASSING = ("truncation", "padding", "version")
# Truncation is stored only for its side; the length is set by the caller.
NOTED_LENGTH = 512


def load_tokenizer(folder: Path, with_settings: bool = False) -> PreTrainedTokenizerFast:
    """Load the checkpoint's own tokenizer, with [CLS], [SEP] and [PAD].

    transformers 5 builds a tokenizer of a known class from its vocabulary. If the result differs from `tokenizer.json`,
    the file itself is loaded with transformers' general class. The tokenizer stores the side on which texts are
    truncated. If `model_input_names` lacks segments for a model that has them, both texts of a pair get segment 0.
    `with_settings`: whether the settings of sentence-transformers apply (`encoder_settings`).

    Raises:
        CheckpointError: It cannot be read, has no fast form, splits a text at random, lacks one of the three tokens,
            has no other tokens, or its files disagree about the normalizer.
    """
    settings = normalizer_settings(folder)
    built = _built(folder, settings)
    if not built.is_fast:
        raise CheckpointError(
            f"{folder}: {type(built).__name__} runs in Python only; save a tokenizer.json of the same ids beside the "
            f"weights (the tokenizers library), or train from a checkpoint that has one{_other_class(folder)}"
        )
    _check_words(folder, built)
    if built.split_special_tokens:
        raise CheckpointError(
            f"{folder / 'tokenizer_config.json'}: split_special_tokens is true, but a bundle reads a special token "
            "that is written in a text as that token; set it to false, or remove it"
        )
    missing = [name for name in SPECIAL_TOKENS if getattr(built, name, None) is None]
    if missing:
        raise CheckpointError(f"{folder}: tokenizer has no {', '.join(missing)}; an encoder needs all three")
    # Only its side is used; the file's own truncation length is ignored.
    built.backend_tokenizer.no_truncation()
    tokenizer = _as_in_file(folder / "tokenizer.json", built, _built(folder, {}) if settings else built)
    _check_repeats(folder / "tokenizer.json", tokenizer)
    if with_settings and lower_cases(folder):
        tokenizer = _lower_casing(tokenizer)
    if SEGMENT_INPUT not in tokenizer.model_input_names and _tells_segments(folder):
        tokenizer = _general(in_one_segment(tokenizer.backend_tokenizer), tokenizer)
    if tokenizer.truncation_side == "left":
        tokenizer.backend_tokenizer.enable_truncation(NOTED_LENGTH, direction="left")
    return tokenizer


def check_vocabulary(folder: Path, tokenizer: PreTrainedTokenizerFast, rows: int) -> None:
    """Refuse a tokenizer with a token that has no row in the word table.

    Raises:
        CheckpointError: Names the token with the highest id.
    """
    vocabulary = tokenizer.get_vocab()
    last = max(vocabulary, key=vocabulary.__getitem__)
    if vocabulary[last] >= rows:
        raise CheckpointError(
            f"{folder}: token {last!r:.40} has the id {vocabulary[last]}, but the word table has {rows} rows "
            "(vocab_size); call model.resize_token_embeddings(len(tokenizer)), train, and save both together"
        )


def check_segments(folder: Path, tokenizer: PreTrainedTokenizerFast, config: PreTrainedConfig, texts: int) -> None:
    """Refuse a tokenizer that uses a segment without a row in the model, or one that the family ignores.

    Args:
        folder: The checkpoint.
        tokenizer: The checkpoint's tokenizer.
        config: The checkpoint's config.
        texts: Texts in one input, 1 or 2.

    Raises:
        CheckpointError: Names the segment and `type_vocab_size`.
    """
    try:
        highest = max(_type_ids(tokenizer, *("a", "a")[:texts]), default=0)
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        raise CheckpointError(f"{folder}: tokenizer cannot encode 'a' ({panic_reason(error)})") from None
    if texts > 1 and config.model_type == DEBERTA_V1.model_type and not (folder / "tokenizer.json").is_file():
        raise CheckpointError(
            f"{folder}: no tokenizer.json, and from vocab.json transformers 5 puts two separators between the texts "
            f"of a pair, but DeBERTa was trained with one (findings/); save the tokenizer with transformers 4: "
            "AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
        )
    rows, path = getattr(config, "type_vocab_size", 0), folder / "config.json"
    without = f"model_input_names in tokenizer_config.json without {SEGMENT_INPUT!r}"
    family = FAMILIES[config.model_type]
    if family.reads_segments(rows) and highest >= rows:
        raise CheckpointError(
            f"{path}: type_vocab_size is {rows}, but the tokenizer puts {'a pair' if texts > 1 else 'a text'} into "
            f"segment {highest}; if the model was trained without segments, save {without}, else give a checkpoint "
            f"with type_vocab_size {highest + 1}"
        )
    if family.adds_first_segment and 0 < highest < rows and SEGMENT_INPUT in tokenizer.model_input_names:
        raise CheckpointError(
            f"{path}: type_vocab_size is {rows} and the tokenizer gives segments, which a bundle of "
            f"{config.model_type} does not have; if the model was trained without them, save {without}"
        )


def check_first_segment(folder: Path, tokenizer: PreTrainedTokenizerFast, config: PreTrainedConfig) -> None:
    """Refuse a tokenizer that puts a single text into another segment than the first.

    The rewritten graph assumes the first segment.

    Raises:
        CheckpointError: Names the file and the entry.
    """
    family = FAMILIES[config.model_type]
    # A family whose graph is not rewritten keeps transformers' own graph, which reads the segments.
    presumes = family.standard_layers and family.has_segments and SEGMENT_INPUT in tokenizer.model_input_names
    if presumes and any(_type_ids(tokenizer, "a")):
        raise CheckpointError(
            f"{folder / 'tokenizer.json'}: post_processor gives a single text type_id 1; the rewritten graph only "
            'has 0; set export.graph = "plain", or type_id 0 if the model was trained so'
        )


def _type_ids(tokenizer: PreTrainedTokenizerFast, *texts: str) -> list[int]:
    """Segments of one text or two; ignores the file's own padding, which a bundle does not use."""
    encoding = tokenizer.backend_tokenizer.encode(*texts)
    return [at for at, is_text in zip(encoding.type_ids, encoding.attention_mask, strict=True) if is_text]


def say_segments(folder: Path, tokenizer: PreTrainedTokenizerFast, config: PreTrainedConfig, texts: int) -> None:
    """Check segments and added tokens, and report pairs whose segments differ between transformers 5 and 4.

    Raises:
        CheckpointError: As `check_segments` and `check_texts_once`.
    """
    check_texts_once(folder / "tokenizer.json", tokenizer, texts)
    check_segments(folder, tokenizer, config, texts)
    note = segments_note(folder, tokenizer) if texts > 1 else ""
    if note and distributed.is_main():
        LOG.warning("%s: %s", folder, note)


def segments_note(folder: Path, tokenizer: PreTrainedTokenizerFast) -> str:
    """A sentence if transformers 5 gives a pair no segments and transformers 4 did; "" otherwise."""
    if SEGMENT_INPUT in tokenizer.model_input_names or not _tells_segments(folder):
        return ""
    try:
        stated = read_object(folder / "tokenizer_config.json")
    except CheckpointError:
        return ""
    if "model_input_names" in stated:
        return ""
    return (
        "tokenizer_config.json states no model_input_names: both texts of a pair are in segment 0, as transformers 5 "
        f"reads it; if the model was trained with segments, add {SEGMENT_INPUT!r} to them"
    )


def _tells_segments(folder: Path) -> bool:
    """Whether the tokenizer's model tells the second text of a pair from the first."""
    try:
        config = read_object(folder / "config.json")
    except CheckpointError:
        return False
    name = config.get("model_type")
    family = FAMILIES.get(name) if isinstance(name, str) else None
    return family is not None and family.reads_segments(whole(config, "type_vocab_size", 0))


def _built(folder: Path, settings: dict[str, Json]) -> PreTrainedTokenizerFast:
    """The tokenizer that transformers builds from a folder and these settings."""
    try:
        return transformers.AutoTokenizer.from_pretrained(
            str(folder), use_fast=True, trust_remote_code=False, **settings
        )
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        for name in TOKENIZER_SETTINGS:
            if (folder / name).is_file():
                read_object(folder / name, "save the tokenizer again")
        raise CheckpointError(
            f"{folder}: tokenizer cannot be read ({panic_reason(error)}); save the tokenizer again"
            f"{_other_class(folder)}"
        ) from None


def _other_class(folder: Path) -> str:
    """Remedy for a class that cannot be used: name another class, if there is a `tokenizer.json` for it."""
    stated = read_or_empty(folder / "tokenizer_config.json").get("tokenizer_class")
    if not isinstance(stated, str) or not (folder / "tokenizer.json").is_file():
        return ""
    return (
        f"; if the tokenizer.json there has the model's ids, set tokenizer_class ({stated!r:.60}) in "
        "tokenizer_config.json to 'PreTrainedTokenizerFast'"
    )


def _check_words(folder: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse a tokenizer without a vocabulary: its class reads other files than the folder has."""
    words = set(tokenizer.get_vocab()).difference(tokenizer.all_special_tokens, ("▁",))
    if not words:
        raise CheckpointError(
            f"{folder}: transformers reads only special tokens with {type(tokenizer).__name__}, which expects other "
            f"files than this folder has; save a tokenizer.json of the same ids beside the weights, or name the "
            "tokenizer_class in tokenizer_config.json"
        )


def _check_repeats(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse a tokenizer that skips merges at random (BPE-dropout, arXiv:1910.13267); no other part is random."""
    dropout = table_of(_document(tokenizer.backend_tokenizer)["model"]).get("dropout")
    if dropout:
        raise CheckpointError(
            f"{path}: model.dropout is {dropout:g}, so the same text gets different tokens at every call; set it to "
            f"null"
        )


def _as_in_file(path: Path, built: PreTrainedTokenizerFast, unset: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Return the tokenizer that transformers built, or one read from the file if the two differ.

    A message names the parts in which a text may get other ids than with `unset`, transformers' tokenizer by default.
    """
    if not path.is_file():
        return built
    own = _read(path)
    kept = built if _document(own) == _document(built.backend_tokenizer) else _general(own, built)
    ours, theirs = _document(kept.backend_tokenizer), _document(unset.backend_tokenizer)
    other = differing_parts(ours, theirs)
    if "pre-tokenizer" in other:
        _check_stated(path, "add_prefix_space", "pre_tokenizer", (spaced_first(ours), spaced_first(theirs)))
    if "model" in other:
        _check_stated(path, "unk_token", "model", (unknown_token(ours), unknown_token(theirs)))
    if "post-processor" in other:
        _check_ends(path, kept)
    if other and distributed.is_main():
        LOG.warning(
            f"{path}: {', '.join(other)} of the file {'differ' if len(other) > 1 else 'differs'} from what "
            f"transformers {transformers.__version__} builds for {type(built).__name__}, so texts may be split "
            f"differently; the bundle uses the file's{_not_in_file(own, unset)}"
        )
    return kept


def _check_stated(path: Path, entry: str, part: str, found: tuple[object, object]) -> None:
    """Refuse an entry of `tokenizer_config.json` that transformers follows and `tokenizer.json` contradicts.

    Args:
        path: Location of `tokenizer.json`.
        entry: The entry.
        part: The matching part of the file.
        found: The file's value, and the one that transformers builds.

    Raises:
        CheckpointError: Names the entry and both values.
    """
    stated = read_or_empty(path.with_name("tokenizer_config.json")).get(entry)
    stated = stated.get("content") if isinstance(stated, dict) else stated
    own, built = found
    if stated is not None and own is not None and stated == built != own:
        raise CheckpointError(
            f"{path.with_name('tokenizer_config.json')}: {entry} is {json.dumps(stated):.40}, but the {part} of "
            f"{path.name} has {json.dumps(own):.40}; make them agree, as the model was trained"
        )


def _check_ends(path: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    """Refuse special tokens around a text that differ from those in `tokenizer_config.json`.

    Raises:
        CheckpointError: Names the entry.
    """
    encoding = tokenizer.backend_tokenizer.encode("a")
    own = [at for at, is_text in enumerate(encoding.attention_mask) if is_text]
    for at, entry in zip(own[:1] + own[-1:], ("cls_token", "sep_token"), strict=False):
        if encoding.special_tokens_mask[at] and encoding.tokens[at] != (named := getattr(tokenizer, entry)):
            raise CheckpointError(
                f"{path.with_name('tokenizer_config.json')}: {entry} is {named!r:.40}, but the post_processor of "
                f"{path.name} puts {encoding.tokens[at]!r:.40} there; make them agree, as the model was trained"
            )


def _not_in_file(own: Tokenizer, unset: PreTrainedTokenizerFast) -> str:
    """A message about tokens that tokenizer_config.json adds and the file does not have."""
    known = {token.content for token in own.get_added_tokens_decoder().values()}
    added = [token.content for token in unset.added_tokens_decoder.values() if token.content not in known]
    if not added:
        return ""
    return f" and not {added[0]!r:.40}, which tokenizer_config.json adds: save the tokenizer again to have it"


def _general(backend: Tokenizer, built: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Wrap a tokenizer in transformers' general class, with the names and settings of the class it built."""
    names = {name: getattr(built, name) for name in NAMED_TOKENS if getattr(built, name, None) is not None}
    settings = {name: getattr(built, name) for name in SETTINGS}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **names, **settings)


def _lower_casing(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """Add Lowercase before a tokenizer's normalizer, unless it has one, as sentence-transformers does."""
    normalizer = table_of(_document(tokenizer.backend_tokenizer)["normalizer"] or {})
    several = normalizer.get("normalizers")
    parts = [normalizer, *(several if isinstance(several, list) else [])]
    if any(isinstance(part, dict) and part.get("type") == "Lowercase" for part in parts):
        return tokenizer
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    own = [backend.normalizer] if backend.normalizer is not None else []
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *own])
    return _general(backend, tokenizer)


def _read(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
        raise CheckpointError(f"{path}: not a tokenizer ({panic_reason(error)}); save the tokenizer again") from None
    tokenizer.no_truncation()
    return tokenizer


def _document(tokenizer: Tokenizer) -> dict[str, Json]:
    """The parts of a tokenizer that decide how a text is split."""
    document = json.loads(tokenizer.to_str())
    return {name: value for name, value in document.items() if name not in PASSING}
