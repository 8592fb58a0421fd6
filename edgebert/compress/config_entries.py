"""Refuse a `config.json` whose entries a bundle could not follow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgebert.compress.config_numbers import check_numbers
from edgebert.compress.families import FAMILIES, family_named
from edgebert.errors import CheckpointError

# What an entry must be, where it is stated, and what to do if it is something else.
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
}


def check_config(folder: Path, config: Mapping[str, Any]) -> None:
    """Refuse other families, sizes that no model has, and what transformers 5 would silently compute otherwise.

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


def _guess(config: Mapping[str, Any]) -> str:
    """The entry that `architectures` speaks for, or those that there are."""
    named = config.get("architectures")
    names = [str(name).lower() for name in named] if isinstance(named, list) else []
    fitting = [family for family in FAMILIES if names and all(name.startswith(family) for name in names)]
    if len(fitting) == 1:
        return f'"model_type": "{fitting[0]}", which architectures ({named[0]!r:.40}) names'  # type: ignore[index]
    return f'"model_type" with the family of the weights: {", ".join(FAMILIES)}'
