"""A suite of contenders: who is measured on what. TOML in, frozen dataclasses out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgebert.settings import fill, read_toml, within


@dataclass(frozen=True)
class Contender:
    """One way to run the model.

    Attributes:
        name: As tables show it.
        file: File of `contenders/` that runs it, without `.py`.
        variant: What that file makes of the model; of a bundle, the runtime.
        precision: FP32 must give the reference's answers, FP16 and INT8 may differ a little.
        environment: Its packages: a file of `requirements/`, or `edgebert` for this interpreter.
        converted_in: The environment that prepares its files, where that is another one.
        bundle: For EdgeBERT: `bundle`, or a folder of BUNDLE.stages.
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
    """What every contender is put through.

    Attributes:
        contender: The first one is the reference: its answers are what the others must give.
        natural: Whether texts of the data file are timed at their own lengths.
        lengths: Fixed lengths in tokens, made of words of the data file.
        rounds: Fresh processes of every contender, in an order drawn anew every round.
        warmup: Predictions that are not counted.
        samples: Predictions timed in one process at natural lengths.
        fixed_samples: And at every fixed length.
        exported_in: The environment that writes the plain ONNX graph which several contenders start from.
        scored: Whether answers are compared with labels; random weights have nothing to score.
        largest_difference: Most that a probability, or a number of an embedding, may differ in FP32.
        least_agreement: Least share of equal labels, or mean cosine of embeddings, in FP16 and INT8.
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
        """Refuse names that stand twice, and a suite without lengths."""
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
