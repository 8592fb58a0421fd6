"""The modules after a sentence encoder's pooling, as part of the model: trained, saved and exported with it."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from edgebert.compress.git_lfs import check_fetched
from edgebert.compress.sentence_modules import VectorStep
from edgebert.compress.source import first_line
from edgebert.errors import CheckpointError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

NOTE = "edgebert_vector_modules"
# File names in the order in which sentence-transformers looks for them.
SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"


class VectorModules(nn.Module):
    """The modules after the pooling, applied one after the other.

    *Shape*: (batch, width of the pooled vector) to (batch, width of the embedding).
    """

    def __init__(self, pooling: str, steps: Sequence[VectorStep]) -> None:
        """Take the poolings, joined by "+", and the modules; their weights are random."""
        super().__init__()
        self.pooling, self.steps = pooling, tuple(steps)
        self.parts = nn.ModuleList(_part(step) for step in steps)

    def forward(self, vectors: Tensor) -> Tensor:
        """Compute embeddings, not yet normalized."""
        for part in self.parts:
            vectors = part(vectors)
        return vectors

    def sha256(self) -> str:
        """Hash of the modules and their weights."""
        found = hashlib.sha256(repr((self.pooling, self.steps)).encode())
        for name, weight in sorted(self.state_dict().items()):
            found.update(name.encode() + weight.numpy().tobytes())
        return found.hexdigest()

    def width(self, pooled: int) -> int:
        """Width of an embedding for a pooled vector of this width."""
        for step in self.steps:
            pooled = step.width_after(pooled)
        return pooled


def load_vector_modules(pooling: str, steps: Sequence[VectorStep], places: Sequence[Path]) -> VectorModules:
    """Make the modules with the weights of a sentence-transformers folder.

    Args:
        pooling: The poolings before the modules, joined by "+".
        steps: The modules.
        places: The folder of each.

    Raises:
        CheckpointError: Weights are missing, cannot be read, or do not fit the module's config.json.
    """
    modules = VectorModules(pooling, steps)
    for part, place in zip(modules.parts, places, strict=True):
        if list(part.parameters()):
            _load(part, place)
    return modules


def attach(model: PreTrainedModel, modules: VectorModules) -> None:
    """Make the modules part of an encoder, and write them into its config, so that the saved folder reloads."""
    model.vector_modules = modules
    setattr(model.config, NOTE, {"pooling": modules.pooling, "steps": [asdict(step) for step in modules.steps]})


def attached(model: PreTrainedModel) -> VectorModules | None:
    """The modules of an encoder; None if it has none."""
    found: VectorModules | None = getattr(model, "vector_modules", None)
    return found


def noted(config: PreTrainedConfig) -> VectorModules | None:
    """The modules in a config, with random weights; None if it has none."""
    note = getattr(config, NOTE, None)
    return None if note is None else VectorModules(note["pooling"], [VectorStep(**step) for step in note["steps"]])


class _Dense(nn.Module):
    """A Dense module; its weights have sentence-transformers' names."""

    def __init__(self, step: VectorStep) -> None:
        super().__init__()
        self.linear = nn.Linear(step.inputs, step.outputs, bias=step.bias)
        self.activation = getattr(nn, step.activation)()
        self.adds_input = step.residual
        if step.residual and step.inputs != step.outputs:
            self.residual = nn.Linear(step.inputs, step.outputs, bias=False)

    def forward(self, vectors: Tensor) -> Tensor:
        made: Tensor = self.activation(self.linear(vectors))
        if not self.adds_input:
            return made
        return made + (self.residual(vectors) if hasattr(self, "residual") else vectors)


class _LayerNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, vectors: Tensor) -> Tensor:
        normed: Tensor = self.norm(vectors)
        return normed


class _Normalize(nn.Module):
    def forward(self, vectors: Tensor) -> Tensor:
        return functional.normalize(vectors, dim=-1)


class _Truncate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, vectors: Tensor) -> Tensor:
        return vectors[:, : self.width]


def _part(step: VectorStep) -> nn.Module:
    if step.kind == "Dense":
        return _Dense(step)
    if step.kind == "LayerNorm":
        return _LayerNorm(step.inputs)
    return _Normalize() if step.kind == "Normalize" else _Truncate(step.outputs)


def _load(part: nn.Module, place: Path) -> None:
    path = place / SAFE if (place / SAFE).is_file() else place / PICKLED
    weights, wanted = _read(path), {name: list(weight.shape) for name, weight in part.state_dict().items()}
    found = {name: list(weight.shape) for name, weight in weights.items()}
    if found != wanted:
        wrong = sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name))[0]
        raise CheckpointError(
            f"{path}: {wrong} has the shape {found.get(wrong, 'of nothing')}, but config.json beside it makes "
            f"{wanted.get(wrong, 'no such weight')}; save the folder again with sentence-transformers"
        )
    part.load_state_dict(weights)


def _read(path: Path) -> dict[str, Tensor]:
    """Read the weights of one module; from a pickle only tensors are read, and no code runs."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent}: no {SAFE} and no {PICKLED}; copy the whole folder again")
    check_fetched(path)
    try:
        found = load_file(path) if path.name == SAFE else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, OSError, ValueError, EOFError) as error:
        raise CheckpointError(f"{path}: weights cannot be read ({first_line(error)}); copy the file again") from None
    if not isinstance(found, dict) or not all(isinstance(weight, Tensor) for weight in found.values()):
        raise CheckpointError(f"{path}: not a table of weights; save the folder again with sentence-transformers")
    return found
