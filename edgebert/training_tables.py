"""Tables of a recipe that train a model. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal

from edgebert.settings import within


@dataclass(frozen=True)
class Numbers:
    """Numbers of one training, all of them settled.

    The defaults are those of a table that names both `epochs` and `learning_rate`.
    """

    epochs: float = 3.0
    learning_rate: float = 4e-5
    batch_size: int = 32
    warmup_share: float = 0.06
    weight_decay: float = 0.01
    max_grad_norm: float = 1.0
    evaluations_per_epoch: int = 1
    patience: int = 0


@dataclass(frozen=True)
class TrainSettings:
    """What every training stage has: AdamW with warm-up and linear decay, early stopping on the metric.

    Numbers without a default are chosen by the rows and the model's size, if the table does not name both `epochs` and
    `learning_rate`.
    """

    epochs: float | None = within(None, 0.01, 1000)
    learning_rate: float | None = within(None, 1e-8, 1.0)
    batch_size: int | None = within(None, 1, 4096)
    warmup_share: float | None = within(None, 0.0, 1.0)
    weight_decay: float = within(0.01, 0.0, 1.0)
    max_grad_norm: float = within(1.0, 0.0, 1e9)
    evaluations_per_epoch: int | None = within(None, 1, 1000)
    patience: int | None = within(None, 0, 1_000_000)
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    @property
    def numbers(self) -> Numbers:
        """Every number; one that is not named has the default of `Numbers`."""
        named = {each.name: getattr(self, each.name) for each in fields(Numbers)}
        return Numbers(**{name: value for name, value in named.items() if value is not None})


@dataclass(frozen=True)
class FinetuneSettings(TrainSettings):
    """Fine-tuning of the teacher; `when` says what happens to a checkpoint that already has the task's head."""

    when: Literal["needed", "always", "never"] = "needed"


@dataclass(frozen=True)
class DistillLoss:
    """Weights of the distillation losses; a weight of 0 leaves the loss out."""

    hard: float = within(0.0, 0.0, 1e6)
    soft: float = within(1.0, 0.0, 1e6)
    hidden: float = within(1.0, 0.0, 1e6)
    relation: float = within(0.0, 0.0, 1e6)
    temperature: float = within(2.0, 0.05, 100.0)

    def __post_init__(self) -> None:
        """Refuse a loss of nothing."""
        if not (self.hard or self.soft or self.hidden or self.relation):
            raise ValueError("every loss weight is 0; give at least one of hard, soft, hidden, relation")


@dataclass(frozen=True)
class DistillSettings(TrainSettings):
    """A student of chosen teacher layers, trained to agree with the teacher."""

    layers: tuple[int, ...] = within((0, 2, 5), 0, 1000)
    hidden_size: int = within(0, 0, 65_536)
    loss: DistillLoss = field(default_factory=DistillLoss)

    def __post_init__(self) -> None:
        """Refuse layers that are not in rising order."""
        if not self.layers or list(self.layers) != sorted(set(self.layers)) or self.layers[0] < 0:
            raise ValueError(f"layers {list(self.layers)}: expected teacher layers counted from 0 in rising order")
