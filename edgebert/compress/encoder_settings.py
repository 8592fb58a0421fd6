"""Read the settings that sentence-transformers saves beside an encoder, such as the longest input.

The library reads them only through `modules.json`; without that file, or for another use, they do not apply.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebert.compress import json_file
from edgebert.compress.json_file import whole
from edgebert.compress.sentence_modules import read_object
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

# The first of these files that has the setting is used.
FILES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Minimum of a recipe's data.max_length.
SHORTEST = 8
# transformers writes 10 to the power of 30 for "no limit".
NO_LENGTH = 1 << 30
TASK, MODALITIES, OUTPUT = "transformer_task", "modality_config", "module_output_name"
# Modes of a bundle that returns rows, and of one that returns scores.
ROWS: dict[str, Json] = {
    TASK: "feature-extraction",
    MODALITIES: {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
}
ROWS |= {OUTPUT: "token_embeddings"}
SCORES: dict[str, Json] = {
    TASK: "sequence-classification",
    MODALITIES: {"text": {"method": "forward", "method_output_name": "logits"}},
}
SCORES |= {OUTPUT: "scores"}
NOT_DONE = ("processing_kwargs", "query_length", "document_length", "query_expansion", "tokenizer_name_or_path")
# Settings that sentence-transformers replaces by others.
REPLACED = ("trust_remote_code", "token", "cache_dir", "revision", "local_files_only")
PRECISION = ("attn_implementation", "torch_dtype", "dtype")
LOADING = (*PRECISION, "use_safetensors", "low_cpu_mem_usage", "device_map", "add_pooling_layer")
# Arguments of from_pretrained, by their names before and since version 6: values that change no answer, and the remedy
# for others.
ARGUMENTS = {
    **dict.fromkeys(
        ("model_args", "model_kwargs"),
        (LOADING, "load the model with it, save that with save_pretrained, and remove it here"),
    ),
    **dict.fromkeys(
        ("tokenizer_args", "processor_kwargs"),
        (
            ("use_fast", "padding_side", "clean_up_tokenization_spaces"),
            "write it into tokenizer_config.json, and remove it here",
        ),
    ),
    **dict.fromkeys(("config_args", "config_kwargs"), (PRECISION, "write it into config.json, and remove it here")),
}


def encoder_settings(encoder: Path) -> dict[str, Json]:
    """Read the entries of the settings file; empty if there is none.

    Raises:
        CheckpointError: It is not a JSON object, or its longest input is not a number of tokens.
    """
    path, settings = _found(encoder)
    longest = settings.get("max_seq_length")
    if longest is not None and (isinstance(longest, bool) or not isinstance(longest, int) or longest < 1):
        raise CheckpointError(f"{path}: max_seq_length is {longest!r}; expected a number of tokens, or null")
    return settings


def check_encoder_settings(encoder: Path, wanted: Mapping[str, Json]) -> None:
    """Refuse settings that a bundle would not follow; `wanted` is `ROWS` or `SCORES`.

    Raises:
        CheckpointError: Names the entry.
    """
    path, settings = _found(encoder)
    for entry, value in wanted.items():
        if settings.get(entry, value) != value:
            raise CheckpointError(f"{path}: {entry} is {settings[entry]!r:.80}; a bundle only supports {value!r}")
    for entry in NOT_DONE:
        if settings.get(entry):
            raise CheckpointError(
                f"{path}: {entry} is {settings[entry]!r:.80}, which a bundle does not support; remove the entry if the "
                "vectors are used without it"
            )
    for entry, (harmless, remedy) in ARGUMENTS.items():
        given = settings.get(entry) or {}
        other = sorted(set(given) - {*harmless, *REPLACED}) if isinstance(given, dict) else [str(given)]
        if other:
            raise CheckpointError(f"{path}: {entry} has {other[0]!r:.40}, which a bundle does not support; {remedy}")


def longest_input(encoder: Path, with_settings: bool) -> int | None:
    """Longest input in tokens: from the settings if they apply, else from the tokenizer; None if neither has one.

    Raises:
        CheckpointError: It is shorter than any recipe allows.
    """
    stated = whole(encoder_settings(encoder), "max_seq_length", 0) if with_settings else 0
    path = encoder / "tokenizer_config.json"
    if stated:
        return _long_enough(stated, stating_file(encoder, with_settings), "max_seq_length")
    longest = json_file.read_object(path).get("model_max_length") if path.is_file() else None
    if not isinstance(longest, int) or not 1 <= longest < NO_LENGTH:
        return None
    return _long_enough(longest, path, "model_max_length")


def _long_enough(longest: int, path: Path, entry: str) -> int:
    if longest < SHORTEST:
        raise CheckpointError(
            f"{path}: {entry} is {longest}, but the longest input of a bundle is {SHORTEST} tokens or more; correct it "
            "to what the model was trained with"
        )
    return longest


def stating_file(encoder: Path, with_settings: bool) -> Path:
    """The file that states the longest input (see `longest_input`)."""
    path, settings = _found(encoder)
    return path if with_settings and settings.get("max_seq_length") else encoder / "tokenizer_config.json"


def unread_settings(encoder: Path) -> str:
    """A sentence about settings that do not apply; "" if they would change nothing."""
    try:
        path, settings = _found(encoder)
    except CheckpointError:
        return ""
    entries = [name for name in ("max_seq_length", "do_lower_case") if settings.get(name)]
    if not entries:
        return ""
    return (
        f"{path}: no effect here: {', '.join(entries)}; sentence-transformers reads the file only through "
        "modules.json, for vectors of texts and cross-encoders"
    )


def _found(encoder: Path) -> tuple[Path, dict[str, Json]]:
    for name in FILES:
        if settings := read_object(encoder / name):
            return encoder / name, settings
    return encoder / FILES[0], {}
