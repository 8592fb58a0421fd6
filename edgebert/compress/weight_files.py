"""Read and check the weights of a model folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from edgebert.compress.families import family_named
from edgebert.compress.json_file import read_object
from edgebert.compress.weight_paths import weight_files, weight_shapes
from edgebert.errors import CheckpointError

# Prefixes that a wrapper adds to every name, and the wrapper's name.
WRAPPERS = {"module.": "DistributedDataParallel", "_orig_mod.": "torch.compile", "model.": "a Lightning module"}


def load_weights(folder: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield every weight with its name, one file at a time."""
    for path in weight_files(folder):
        yield from load_file(path).items()


def check_weights(folder: Path) -> None:
    """Refuse weights that cannot be read, names that a wrapper has changed, and values that are not numbers.

    Raises:
        CheckpointError: Says what is in the files and how to save them.
    """
    _check_names(folder, list(weight_shapes(folder)))
    for path in weight_files(folder):
        _check_finite(path)


def _check_names(folder: Path, names: Sequence[str]) -> None:
    family = family_named(read_object(folder / "config.json").get("model_type"))
    for prefix, wrapper in WRAPPERS.items():
        # ModernBERT's own names have the same prefix as those of a Lightning module.
        start = prefix * 2 if prefix == f"{family.prefix}." else prefix
        wrapped = next((name for name in names if name.startswith(start)), None)
        if wrapped:
            raise CheckpointError(
                f"{folder}: the weights have a wrapper's names ({wrapped}: {wrapper}); save the model inside it, "
                f"with model.{prefix.rstrip('.')}.save_pretrained(folder)"
            )
    words = f"{family.words}.weight"  # a family's name may stand before it
    before = [name.removesuffix(words) for name in names if name.endswith(words)]
    if before and not {"", f"{family.prefix}."} & set(before):
        raise CheckpointError(
            f"{folder}: the weights' names have the prefix {before[0]!r:.60} ({before[0]}{words}), but a "
            f"{family.model_type} model has {family.prefix + '.'!r} or none; save the transformers model inside the "
            "wrapper with save_pretrained(folder)"
        )


def _check_finite(path: Path) -> None:
    """Refuse NaN and infinity: a model with them has no meaningful outputs."""
    with safe_open(path, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118
            weight = opened.get_tensor(name)
            if weight.is_floating_point() and not bool(torch.isfinite(weight.float()).all()):
                raise CheckpointError(
                    f"{path}: {name} holds NaN or infinity; the training that saved it has diverged: give an earlier "
                    "checkpoint"
                )
