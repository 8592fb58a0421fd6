"""Read the modules after the Pooling in a sentence-transformers folder, which change a text's vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebert.compress import json_file
from edgebert.errors import CheckpointError
from edgebert.strict_json import Json

# Classes in torch.nn without weights and arguments, as sentence-transformers creates them.
ACTIVATIONS = (
    *("Identity", "Tanh", "ReLU", "GELU", "Sigmoid", "SiLU", "LeakyReLU", "ELU", "SELU", "CELU", "Softplus"),
    *("Softsign", "Hardtanh", "ReLU6", "Hardswish", "Hardsigmoid", "Mish", "LogSigmoid", "Tanhshrink"),
)
DEFAULT_ACTIVATION = "torch.nn.modules.activation.Tanh"
VECTOR = "sentence_embedding"
KINDS = ("Dense", "LayerNorm", "Normalize", "Dropout")
# Kinds of modules whose settings sentence-transformers cannot load if there are unknown ones.
ENTRIES = {"LayerNorm": ("dimension",), "Dropout": ("dropout",)}


@dataclass(frozen=True)
class VectorStep:
    """One module after the pooling.

    Attributes:
        kind: The module's class, or "Truncate" for `truncate_dim`.
        inputs: Width of its input; 0 for any width.
        outputs: Width of its output; 0 for that of the input.
        bias: Whether a Dense module adds a bias.
        activation: Class in torch.nn of a Dense module's activation.
        residual: Whether a Dense module adds its input to its output.
    """

    kind: Literal["Dense", "LayerNorm", "Normalize", "Truncate"]
    inputs: int = 0
    outputs: int = 0
    bias: bool = True
    activation: str = "Identity"
    residual: bool = False

    def __str__(self) -> str:
        """Name and sizes, as a model card shows them."""
        if self.kind == "Truncate":
            return f"the first {self.outputs} numbers"
        if self.kind != "Dense":
            return self.kind
        residual = ", residual" if self.residual else ""
        return f"Dense {self.inputs} to {self.outputs} ({self.activation}{residual})"

    def width_after(self, width: int) -> int:
        """Width of its output for an input of `width`."""
        return min(width, self.outputs) if self.kind == "Truncate" else self.outputs or width


def read_step(kind: str, folder: Path) -> VectorStep | None:
    """Read one module; return None for Dropout, which does nothing at inference.

    Raises:
        CheckpointError: Names the file, the entry and what a bundle can do.
    """
    path = folder / "config.json"
    if kind in ("Dense", "LayerNorm"):
        check_there(path)
    config = read_object(path)
    check_entries(path, config, ENTRIES.get(kind, tuple(config)))
    for entry in ("module_input_name", "module_output_name"):
        if config.get(entry) not in (None, VECTOR):
            raise CheckpointError(
                f"{path}: {entry} is {config[entry]!r:.40}, but a bundle's modules read and write {VECTOR!r}; remove "
                "the module from modules.json, or use sentence-transformers"
            )
    if kind == "Dropout":
        return None
    if kind == "Normalize":
        return VectorStep("Normalize")
    if kind == "LayerNorm":
        width = _size(config, "dimension", path)
        return VectorStep("LayerNorm", width, width)
    inputs, outputs = _size(config, "in_features", path), _size(config, "out_features", path)
    bias, residual = _flag(config, "bias", True, path), _flag(config, "use_residual", False, path)
    return VectorStep("Dense", inputs, outputs, bias, _activation(config, path), residual)


def check_steps(steps: Sequence[VectorStep], places: Sequence[Path], width: int) -> int:
    """Check that every module takes the width that the one before outputs.

    Args:
        steps: The modules, in order.
        places: The folder of each.
        width: Width of the pooled vector.

    Returns:
        Width of the last module's output.

    Raises:
        CheckpointError: Names the module.
    """
    for step, place in zip(steps, places, strict=True):
        if step.inputs not in (0, width):
            raise CheckpointError(
                f"{place / 'config.json'}: the {step.kind} module takes {step.inputs} numbers, but the module before "
                f"it outputs {width}; save the whole folder again, or leave head.pooling out of the recipe"
            )
        width = step.width_after(width)
    return width


def check_there(path: Path) -> None:
    """Refuse a module's folder without its settings file.

    Raises:
        CheckpointError: Names the file.
    """
    if not path.is_file():
        raise CheckpointError(f"{path} is missing, which modules.json names; copy the whole folder again")


def check_entries(path: Path, config: dict[str, Json], known: Sequence[str]) -> None:
    """Refuse unknown settings of a module: they would be ignored silently.

    Raises:
        CheckpointError: Names the entry.
    """
    other = next((entry for entry in config if entry not in known), None)
    if other is not None:
        raise CheckpointError(
            f"{path}: {other!r:.40} is not a setting of this module; remove it if the vectors are made without it "
            f"(expected {', '.join(known)})"
        )


def read_object(path: Path) -> dict[str, Json]:
    """Read a JSON object; empty if the file does not exist.

    Raises:
        CheckpointError: It is not an object.
    """
    if not path.is_file():
        return {}
    return json_file.read_object(path, "save the folder again with sentence-transformers")


def _size(config: dict[str, Json], entry: str, path: Path) -> int:
    value = config.get(entry)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{path}: {entry} is {value!r:.40}; expected a whole number of 1 or more")
    return value


def _flag(config: dict[str, Json], entry: str, default: bool, path: Path) -> bool:
    value = config.get(entry, default)
    if not isinstance(value, bool):
        raise CheckpointError(f"{path}: {entry} is {value!r:.40}; expected true or false")
    return value


def _activation(config: dict[str, Json], path: Path) -> str:
    stated = config.get("activation_function", DEFAULT_ACTIVATION)
    package, _, name = str(stated).rpartition(".")
    if package.partition(".")[0] != "torch" or name not in ACTIVATIONS:
        raise CheckpointError(
            f"{path}: activation_function is {stated!r:.80}, which a bundle does not compute; expected one of "
            f"torch.nn: {', '.join(ACTIVATIONS)}"
        )
    return name
