"""Refuse entries of DeBERTa's `config.json` that transformers does not follow, or that no model can have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from edgebert.compress.config_numbers import is_whole, refused
from edgebert.compress.families import DEBERTA_V1
from edgebert.compress.json_file import whole
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

SWITCHES = ("relative_attention", "position_biased_input", "share_att_key", "talking_head", "legacy")
# Attention from content to position, and from position to content.
KINDS = ("c2p", "p2c")
NORMS = ("none", "layer_norm")
OF_V2 = ("position_buckets", "norm_rel_ebd", "share_att_key", "conv_kernel_size")
MAX_DISTANCE = 10_000_000


def check_deberta(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse settings of distances, convolution and pooler that transformers would not follow.

    Raises:
        CheckpointError: Names the entry, its value and what is expected.
    """
    for entry in SWITCHES:
        if not isinstance(config.get(entry, False), bool):
            raise refused(path, entry, config[entry], "true or false")
    for entry in ("max_relative_positions", "position_buckets", "conv_kernel_size"):
        if entry in config and not is_whole(config[entry], -1, MAX_DISTANCE):
            raise refused(path, entry, config[entry], f"a whole number from -1 to {MAX_DISTANCE}")
    if not {*_listed(config.get("pos_att_type"))} <= {*KINDS}:
        raise refused(path, "pos_att_type", config["pos_att_type"], "'c2p', 'p2c' or both ('c2p|p2c')")
    norm = config.get("norm_rel_ebd", NORMS[0])
    if not isinstance(norm, str) or not {*_listed(norm)} <= {*NORMS}:
        raise refused(path, "norm_rel_ebd", norm, "'none' or 'layer_norm'")
    _check_convolution(path, config)
    for entry in OF_V2 if config["model_type"] == DEBERTA_V1.model_type else ():
        if config.get(entry) not in (None, False, 0, -1, "none"):
            raise CheckpointError(
                f"{path}: {entry} is {config[entry]!r:.40}, which transformers only computes for deberta-v2; correct "
                "model_type, or remove the entry if the model was trained without it"
            )


def check_parts(path: Path, config: Mapping[str, Json], names: Iterable[str]) -> None:
    """Refuse weights of parts that the config leaves out: transformers would drop them silently.

    Raises:
        CheckpointError: Names the entry and the weight.
    """
    weights, kinds = list(names), _listed(config.get("pos_att_type"))
    apart = bool(config.get("relative_attention", False)) and not config.get("share_att_key", False)
    parts = {
        "encoder.rel_embeddings.": ("relative_attention", config.get("relative_attention", False)),
        "encoder.conv.": ("conv_kernel_size", whole(config, "conv_kernel_size", 0) > 0),
        "encoder.LayerNorm.": ("norm_rel_ebd", "layer_norm" in _listed(config.get("norm_rel_ebd"))),
        "self.pos_key_proj.": ("share_att_key or pos_att_type", apart and "c2p" in kinds),
        "self.pos_query_proj.": ("share_att_key or pos_att_type", apart and "p2c" in kinds),
        "self.pos_proj.": ("pos_att_type", apart and "c2p" in kinds),
        "self.pos_q_proj.": ("pos_att_type", apart and "p2c" in kinds),
        "self.head_logits_proj.": ("talking_head", config.get("talking_head", False)),
    }
    for part, (entry, has_part) in parts.items():
        found = next((name for name in weights if f".{part}" in f".{name}"), None)
        if found is not None and not has_part:
            raise CheckpointError(
                f"{path}: the weights have {found}, which the model does not have according to {entry}; set the entry "
                f"as the model was trained"
            )


def check_pooler(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse a pooler whose width differs from the rows that it reads.

    Raises:
        CheckpointError: Names both widths.
    """
    width = config.get("hidden_size")
    if config.get("pooler_hidden_size", width) != width:
        raise refused(path, "pooler_hidden_size", config["pooler_hidden_size"], f"hidden_size, which is {width}")


def _check_convolution(path: Path, config: Mapping[str, Json]) -> None:
    kernel, width = whole(config, "conv_kernel_size", 0), whole(config, "hidden_size", 0)
    if kernel > 0 and kernel % 2 == 0:
        raise refused(path, "conv_kernel_size", kernel, "an odd number, or 0 for no convolution")
    groups = config.get("conv_groups", 1)
    if not is_whole(groups, 1, MAX_DISTANCE) or width % whole(config, "conv_groups", 1):
        raise refused(path, "conv_groups", groups, f"a divisor of hidden_size, which is {width}")


def _listed(value: object) -> list[str]:
    """Return names from a list, or from one string separated by |."""
    if isinstance(value, str):
        return [name.strip() for name in value.lower().split("|")]
    return [str(name) for name in value] if isinstance(value, list) else [] if value is None else [str(value)]
