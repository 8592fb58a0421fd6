"""A suite of contenders and how to measure them: TOML to frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebert.settings import fill, read_toml, within


@dataclass(frozen=True)
class Contender:
    """One way to run the model.

    Attributes:
        name: Name in tables.
        file: File in `contenders/` that runs it, without `.py`.
        variant: Which form of the model that file runs; for a bundle, the runtime.
        precision: FP32 must give the reference's answers; FP16 and INT8 may differ slightly.
        environment: Its packages: a file in `requirements/`, or `edgebert` for this interpreter.
        converted_in: The environment that prepares its files, if it is a different one.
        bundle: For EdgeBERT: `bundle`, or a folder in BUNDLE.stages.
    """

    name: str
    file: str
    precision: Literal["fp32", "fp16", "int8"]
    environment: str
    variant: str = ""
    converted_in: str = ""
    bundle: str = ""


@dataclass(frozen=True)
class Suite:
    """How all contenders are measured.

    Attributes:
        contender: The contenders. The first one is the reference: the others must give its answers.
        natural: Whether texts of the data file are measured at their own lengths.
        lengths: Fixed lengths in tokens. These texts are made from words of the data file.
        rounds: Fresh processes per contender, in a new random order each round.
        warmup: Predictions that are not counted.
        samples: Predictions measured in one process at natural lengths.
        fixed_samples: Predictions measured in one process at each fixed length.
        exported_in: The environment that writes the plain ONNX graph from which several contenders start.
        scored: Whether answers are compared with labels. With random weights this would mean nothing.
        largest_difference: Largest allowed difference of a probability, or of a number in an embedding, in FP32.
        least_agreement: Smallest allowed share of equal labels, or mean cosine of embeddings, in FP16 and INT8.
    """

    name: str
    task: Literal["text-classification", "similarity"]
    contender: tuple[Contender, ...]
    exported_in: str = "pytorch"
    natural: bool = True
    scored: bool = True
    lengths: tuple[int, ...] = within((128,), 8, 512)
    max_length: int = within(128, 8, 512)
    threads: int = within(1, 1)
    rounds: int = within(5, 2)
    warmup: int = within(20, 0)
    samples: int = within(200, 3)
    fixed_samples: int = within(50, 3)
    seed: int = within(7, 0)
    largest_difference: float = within(0.001, 0.0)
    least_agreement: float = within(0.95, -1.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse duplicate names, and a suite without lengths."""
        names = [contender.name for contender in self.contender]
        if len(set(names)) < len(names):
            raise ValueError(f"contender names {names}: expected each once")
        if not (self.natural or self.lengths):
            raise ValueError("natural is false and lengths is empty; give one of them")


def read_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises:
        SettingsError: An unknown key, a wrong type or an impossible value.
    """
    return fill(Suite, read_toml(path), str(path))
