"""Refuse sizes of a `config.json` that contradict the weights, before a model with these sizes is built."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from edgebert.compress.config_deberta import check_parts, check_pooler
from edgebert.compress.config_modernbert import check_biases
from edgebert.compress.families import (
    ALBERT,
    DEBERTA_V1,
    DEBERTA_V2,
    DISTILBERT,
    ELECTRA,
    FAMILIES,
    MOBILEBERT,
    MODERNBERT,
    RANK_KEY,
    SHAPES_KEY,
    Family,
)
from edgebert.compress.json_file import whole
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

Shapes = Mapping[str, list[int]]
POSITIONS = "embeddings.position_embeddings.weight"
SEGMENTS = "embeddings.token_type_embeddings.weight"
TOGETHER = "correct the entry, or save config and weights together with save_pretrained"


class _Size(NamedTuple):
    """A config entry, and the end of the name of a weight with this entry as one of its dimensions."""

    entry: str
    weight: str
    axis: int


def check_shapes(path: Path, config: Mapping[str, Json], shapes: Shapes) -> None:
    """Refuse a config whose sizes differ from the main weights: word table, positions, layers, neurons.

    Missing weights, and others that do not fit, are refused when the model is loaded.

    Args:
        path: The config's file, for the message.
        config: A config that `check_config` has passed.
        shapes: Shape of every weight, by its name.

    Raises:
        CheckpointError: Names the entry, its value and the weight.
    """
    family = FAMILIES[str(config["model_type"])]
    _check_layers(path, config, shapes, family)
    if family is MODERNBERT:
        check_biases(path, config, shapes)
    for entry, weight, axis in _sizes(config, family):
        name = next((name for name in shapes if name == weight or name.endswith(f".{weight}")), None)
        if entry in config and name is not None and len(shapes[name]) > axis and shapes[name][axis] != config[entry]:
            raise CheckpointError(
                f"{path}: {entry} is {config[entry]}, but {name} has the shape {shapes[name]}; {TOGETHER}"
            )
    if family in (DEBERTA_V1, DEBERTA_V2):
        check_pooler(path, config)
        check_parts(path, config, shapes)


def _sizes(config: Mapping[str, Json], family: Family) -> Iterator[_Size]:
    layer, parts = f"{family.layers}.0{family.in_group and '.'}{family.in_group}", family.layer
    width = "dim" if family is DISTILBERT and "dim" in config else "hidden_size"
    words = f"{family.words}.weight"
    yield _Size("vocab_size", words, 0)
    yield _Size("max_position_embeddings", POSITIONS, 0)
    yield _Size("type_vocab_size", SEGMENTS, 0)
    if RANK_KEY in config:
        yield _Size("vocab_size", words.replace(".weight", ".table.weight"), 0)
        yield _Size(RANK_KEY, words.replace(".weight", ".table.weight"), 1)
    stated = family in (DEBERTA_V1, DEBERTA_V2) and "embedding_size" in config
    has_own_width = stated or family in (ALBERT, ELECTRA, MOBILEBERT)
    yield _Size("embedding_size" if has_own_width else width, words, 1)
    if family is MOBILEBERT:
        yield _Size(width, "embeddings.embedding_transformation.weight", 0)
        if config.get("use_bottleneck", True):
            yield _Size("intra_bottleneck_size", f"{layer}.{parts.query}.weight", 1)
    else:
        yield _Size(width, f"{layer}.{parts.query}.weight", 1)
    if SHAPES_KEY not in config:
        yield _Size(family.ffn_size, f"{layer}.{parts.ffn_out}.weight", 1)


def _check_layers(path: Path, config: Mapping[str, Json], shapes: Shapes, family: Family) -> None:
    """Refuse a config with more layers than the weights; it may have fewer, except with layer groups."""
    entry = "n_layers" if family is DISTILBERT and "n_layers" in config else "num_hidden_layers"
    entry = "num_hidden_groups" if family is ALBERT else entry
    numbered = re.compile(rf"(?:^|\.){re.escape(family.layers)}\.(\d{{1,9}})\.")
    held = {int(match[1]) for match in map(numbered.search, shapes) if match}
    fewer = family is ALBERT and held and whole(config, entry, 1) <= max(held)
    if held and (fewer or whole(config, entry, 0) > max(held) + 1):
        raise CheckpointError(
            f"{path}: {entry} is {config.get(entry, 1)}, but the weights have {max(held) + 1}; {TOGETHER}"
        )
