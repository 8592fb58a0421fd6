"""Refuse entries of ModernBERT's `config.json` that contradict each other, the weights or transformers 5.

Global and local attention, thetas, biases and pooling are then the same in transformers 5 and in every graph.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from edgebert.compress.json_file import whole
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

# Kinds of attention in a layer, and older configs' names for the theta of its positions.
THETAS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}
POOLINGS = ("cls", "mean")
# An entry, and the suffix of the names of weights that a model has only if the entry is true.
BIASES = {
    "attention_bias": "attn.Wqkv.bias",
    "mlp_bias": "mlp.Wi.bias",
    "norm_bias": "final_norm.bias",
    "classifier_bias": "head.dense.bias",
}


def check_modernbert(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse entries that no model can have, or that transformers 5 does not follow.

    They concern attention, positions and pooling.

    Raises:
        CheckpointError: Names the entry, its value and the remedy.
    """
    pooling = config.get("classifier_pooling", POOLINGS[0])
    if pooling not in POOLINGS:
        raise CheckpointError(f"{path}: classifier_pooling is {pooling!r:.40}; expected 'cls' or 'mean'")
    for entry in (*BIASES, "decoder_bias"):
        if not isinstance(config.get(entry, False), bool):
            raise CheckpointError(f"{path}: {entry} is {config[entry]!r:.40}; expected true or false")
    _check_types(path, config)
    _check_thetas(path, config)


def check_biases(path: Path, config: Mapping[str, Json], names: Iterable[str]) -> None:
    """Refuse weights with biases that the config leaves out: transformers would drop them silently.

    Raises:
        CheckpointError: Names the entry and the weight.
    """
    weights = list(names)
    for entry, end in (*BIASES.items(), ("decoder_bias", "decoder.bias")):
        found = next((name for name in weights if name.endswith(end)), None)
        if found is not None and not config.get(entry, entry == "decoder_bias"):
            raise CheckpointError(f"{path}: {entry} is not true, but the weights have {found}; set it to true")


def _check_types(path: Path, config: Mapping[str, Json]) -> None:
    types = config.get("layer_types")
    if types is not None:
        count = config.get("num_hidden_layers", 22)
        if not isinstance(types, list) or len(types) != count or not {*map(str, types)} <= {*THETAS}:
            raise CheckpointError(
                f"{path}: layer_types is {types!r:.60}; expected {' or '.join(THETAS)} for each of "
                f"{count} layers (num_hidden_layers), or no entry and global_attn_every_n_layers"
            )
    window, half = whole(config, "local_attention", 128), config.get("sliding_window")
    if half is not None and half != window // 2:
        raise CheckpointError(
            f"{path}: sliding_window is {half!r:.40}, but half of local_attention is {window // 2}; "
            "keep the entry that the model was trained with"
        )


def _check_thetas(path: Path, config: Mapping[str, Json]) -> None:
    rotated = config.get("rope_parameters")
    rotated = {} if rotated is None else rotated
    if not isinstance(rotated, dict) or not {*rotated} <= {*THETAS}:
        raise CheckpointError(
            f"{path}: rope_parameters is {rotated!r:.60}; expected an entry for {' and '.join(THETAS)}, as "
            "transformers 5 saves it"
        )
    if config.get("rope_scaling") is not None:
        raise _scaled(path, "rope_scaling", config["rope_scaling"])
    for kind, older in THETAS.items():
        stated = rotated.get(kind) or {}
        if not isinstance(stated, dict) or stated.get("rope_type", "default") != "default":
            raise _scaled(path, f"rope_parameters.{kind}", stated)
        for entry, value in ((f"rope_parameters.{kind}.rope_theta", stated.get("rope_theta", 1.0)),
                             (older, config.get(older, 1.0))):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                same = ", such as global_rope_theta's, which transformers 4 took for null" if value is None else ""
                raise CheckpointError(f"{path}: {entry} is {value!r:.40}; expected a number above 0{same}")
        if older in config and config[older] != stated.get("rope_theta", config[older]):
            raise CheckpointError(
                f"{path}: {older} is {config[older]}, but rope_parameters.{kind}.rope_theta {stated['rope_theta']}; "
                "keep the entry that the model was trained with"
            )


def _scaled(path: Path, entry: str, value: object) -> CheckpointError:
    return CheckpointError(
        f"{path}: {entry} is {value!r:.60}; a bundle only supports rope_type 'default'; "
        "remove the entry if the model was trained without it"
    )
