"""Refuse sizes and settings of a `config.json` that no model can be built with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgebert.compress.families import MODERNBERT
from edgebert.compress.json_file import whole
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

# Far above every published encoder, but small enough to be refused before it costs memory or time.
MAX_LAYERS, MAX_WIDTH, MAX_ROWS, MAX_LABELS = 1_000, 1_000_000, 10_000_000, 100_000
SIZES = {
    **dict.fromkeys(("num_hidden_layers", "n_layers", "num_feedforward_networks"), MAX_LAYERS),
    **dict.fromkeys(("num_hidden_groups", "inner_group_num"), MAX_LAYERS),
    **dict.fromkeys(("hidden_size", "dim", "embedding_size", "intra_bottleneck_size"), MAX_WIDTH),
    **dict.fromkeys(("local_attention", "global_attn_every_n_layers"), MAX_ROWS),
    **dict.fromkeys(("intermediate_size", "hidden_dim", "num_attention_heads", "n_heads"), MAX_WIDTH),
    **dict.fromkeys(("vocab_size", "max_position_embeddings", "type_vocab_size"), MAX_ROWS),
}
# DistilBERT has no segments, and its folders may have 0.
SEGMENT_ROWS = "type_vocab_size"
DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"),
    *("dropout", "attention_dropout", "qa_dropout", "seq_classif_dropout"),
    *("embedding_dropout", "mlp_dropout", "pooler_dropout", "cls_dropout", "classifier_dropout_prob"),
)
ACTIVATIONS = ("hidden_act", "activation", "hidden_activation", "pooler_hidden_act", "conv_act")
NORMS = ("layer_norm_eps", "norm_eps")
# Common activations are listed here, because importing transformers would import PyTorch.
USUAL = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "swish", "tanh", "mish")


def check_numbers(path: Path, config: Mapping[str, Json]) -> None:
    """Refuse sizes that are not whole, positive and plausible, and settings out of range.

    Raises:
        CheckpointError: Names the file, the entry, its value and what is expected.
    """
    for entry, most in SIZES.items():
        least = 0 if entry == SEGMENT_ROWS else 1
        if entry in config and not is_whole(config[entry], least, most):
            raise refused(path, entry, config[entry], f"a whole number from {least} to {most}")
    labels = config.get("num_labels")
    if labels is not None and not is_whole(labels, 0, MAX_LABELS):  # transformers makes a name for each
        raise refused(path, "num_labels", labels, f"a whole number from 0 to {MAX_LABELS}")
    for entry in DROPOUTS:
        if config.get(entry) is not None and not _is_share(config[entry]):
            raise refused(path, entry, config[entry], "a number from 0 to 1")
    for entry in NORMS:
        if entry in config and not (_is_share(config[entry]) and config[entry] != 0):
            raise refused(path, entry, config[entry], "a number above 0, at most 1, such as 1e-12")
    modern = ("classifier_activation",) if config["model_type"] == MODERNBERT.model_type else ()
    for entry in (*ACTIVATIONS, *modern):
        if entry in config and not _is_activation(config[entry]):
            raise refused(path, entry, config[entry], "an activation of transformers, such as 'gelu'")
    _check_padding(path, config)
    _check_heads(path, config)


def _check_padding(path: Path, config: Mapping[str, Json]) -> None:
    padding, rows = config.get("pad_token_id"), whole(config, "vocab_size", MAX_ROWS)
    if padding is not None and not is_whole(padding, 0, rows - 1):
        raise refused(path, "pad_token_id", padding, f"an id of the vocabulary, from 0 to {rows - 1}")


def _check_heads(path: Path, config: Mapping[str, Json]) -> None:
    """Require that every attention head has the same number of columns."""
    width = "dim" if "dim" in config else "hidden_size"
    heads = "n_heads" if "n_heads" in config else "num_attention_heads"
    if config["model_type"] == "mobilebert" and config.get("use_bottleneck", True):
        width = "intra_bottleneck_size"
    if width in config and heads in config and whole(config, width, 0) % whole(config, heads, 1):
        raise refused(path, heads, config[heads], f"a divisor of {width}, which is {config[width]}")


def _is_activation(value: object) -> bool:
    if not isinstance(value, str) or value in USUAL:
        return value in USUAL
    from transformers.activations import ACT2FN

    return value in ACT2FN


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether a value is a whole number (not a boolean) within two bounds."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def refused(path: Path, entry: str, value: object, expected: str) -> CheckpointError:
    """Make the error for an entry that is not as expected."""
    return CheckpointError(f"{path}: {entry} is {value!r:.40}; expected {expected}; correct the entry")
