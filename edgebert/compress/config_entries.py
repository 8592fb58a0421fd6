"""Refuse entries of `config.json` that a bundle could not follow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebert.compress.config_deberta import check_deberta
from edgebert.compress.config_modernbert import check_modernbert
from edgebert.compress.config_numbers import check_numbers
from edgebert.compress.families import (
    ALBERT,
    DEBERTA_V1,
    DEBERTA_V2,
    FAMILIES,
    MODERNBERT,
    MPNET,
    family_named,
    family_of_class,
)
from edgebert.compress.json_file import whole
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

# problem_type values of transformers, and the task for each.
PROBLEMS = {
    "regression": "regression",
    "single_label_classification": "text-classification",
    "multi_label_classification": "multi-label",
}
# Required value of an entry, if it is present, and the remedy for another value.
WANTED = {
    "position_embedding_type": (
        ("absolute", None),
        "which transformers 5 no longer computes; supported: 'absolute'",
    ),
    "is_decoder": ((False, None), "give an encoder"),
    "add_cross_attention": ((False, None), "give an encoder"),
    "quantization_config": (
        (None, {}),
        "the weights are quantized already; give the full-precision checkpoint that they came from",
    ),
    "use_return_dict": ((None,), "which transformers 5 cannot load; remove the entry"),
    "pruned_heads": (
        (None, {}),
        "which transformers 5 does not read; give the checkpoint as it was before, or remove the entry if the weights "
        "have all heads",
    ),
    "problem_type": (
        (None, *PROBLEMS),
        f"expected {', '.join(map(repr, PROBLEMS))} or null; correct the entry",
    ),
}
MPNET_PADDING = 1
# Entries of MobileBERT.
SWITCHES = (
    *("use_bottleneck", "use_bottleneck_attention", "key_query_shared_bottleneck", "trigram_input"),
    "classifier_activation",
)
NORMS = ("no_norm", "layer_norm")


def check_config(folder: Path, config: Mapping[str, Json]) -> None:
    """Refuse unsupported families, impossible sizes, and entries that transformers 5 would silently ignore.

    Raises:
        CheckpointError: Names the entry, its value and the remedy.
    """
    if config.get("model_type") is None:
        raise CheckpointError(f"{folder / 'config.json'}: no model_type; add {_guess(config)}")
    try:
        family_named(config["model_type"])
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    for entry, (values, remedy) in WANTED.items():
        if config.get(entry) not in values:
            shown = "true" if config[entry] is True else f"{config[entry]!r:.60}"
            raise CheckpointError(f"{folder}: {entry} is {shown} in config.json; {remedy}")
    check_numbers(folder / "config.json", config)
    for check in (_check_counted_padding, _check_fixed_padding, _check_bottleneck, _check_groups):
        check(folder / "config.json", config)
    if config["model_type"] == MODERNBERT.model_type:
        check_modernbert(folder / "config.json", config)
    if config["model_type"] in (DEBERTA_V1.model_type, DEBERTA_V2.model_type):
        check_deberta(folder / "config.json", config)


def _check_counted_padding(path: Path, config: Mapping[str, Json]) -> None:
    """Require a padding id for a family that counts positions from it."""
    counts = FAMILIES[str(config["model_type"])].skips_padding
    if counts and "pad_token_id" in config and config["pad_token_id"] is None:
        raise CheckpointError(
            f"{path}: pad_token_id is null, and {config['model_type']} counts its positions from it; set it to the id "
            "of the tokenizer's padding token"
        )


def _check_fixed_padding(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse another padding id for MPNet: its positions always start after id 1."""
    found = config.get("pad_token_id", MPNET_PADDING)
    if config["model_type"] == MPNET.model_type and found != MPNET_PADDING:
        raise CheckpointError(
            f"{path}: pad_token_id is {found}, but transformers counts the positions of mpnet from {MPNET_PADDING}; "
            f"set it to {MPNET_PADDING}, and give the tokenizer's padding token that id"
        )


def _check_bottleneck(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse settings of MobileBERT's layers that transformers cannot build or run."""
    if config["model_type"] != "mobilebert":
        return
    for entry in SWITCHES:
        if not isinstance(config.get(entry, True), bool):
            raise CheckpointError(f"{path}: {entry} is {config[entry]!r:.40}; expected true or false")
    norm = config.get("normalization_type", NORMS[0])
    if norm not in NORMS:
        raise CheckpointError(f"{path}: normalization_type is {norm!r:.40}; expected {' or '.join(map(repr, NORMS))}")
    unshared = not config.get("key_query_shared_bottleneck", True) and not config.get("use_bottleneck_attention", False)
    narrow = config.get("intra_bottleneck_size", 128) != config.get("hidden_size", 512)
    if config.get("use_bottleneck", True) and unshared and narrow:
        raise CheckpointError(
            f"{path}: key_query_shared_bottleneck is false, so that queries read rows of hidden_size "
            f"{config.get('hidden_size', 512)}, but their weights are intra_bottleneck_size "
            f"{config.get('intra_bottleneck_size', 128)} wide, and transformers cannot run it; set it, or "
            "use_bottleneck_attention, to true as the model was trained"
        )


def _check_groups(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse ALBERT layer groups with several layers each, and groups that no layer uses."""
    if config["model_type"] != ALBERT.model_type:
        return
    if config.get("inner_group_num", 1) != 1:
        raise CheckpointError(
            f"{path}: inner_group_num is {config['inner_group_num']}; supported: 1, one layer in each group"
        )
    groups, layers = whole(config, "num_hidden_groups", 1), whole(config, "num_hidden_layers", 12)
    if groups > layers:
        raise CheckpointError(
            f"{path}: num_hidden_groups is {groups}, more than num_hidden_layers, {layers}; correct the entry"
        )


def _guess(config: Mapping[str, Json]) -> str:
    """Suggest the entry that fits `architectures`, or list the supported ones."""
    named = config.get("architectures")
    found = [family_of_class(str(name)) for name in named] if isinstance(named, list) else []
    if found and found[0] is not None and found.count(found[0]) == len(found):
        return f'"model_type": "{found[0].model_type}", which architectures ({named[0]!r:.40}) names'  # type: ignore[index]
    return f'"model_type" with the family of the weights: {", ".join(FAMILIES)}'
