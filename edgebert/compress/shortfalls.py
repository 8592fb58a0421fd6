"""What a training's own record shows that it lacked: too few epochs, a wrong learning rate, a student far below.

Nothing is computed for it: it reads the losses and the evaluations that a training logs anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgebert.recipe import TrainSettings

# A metric has changed if it did by so much, and by so many rows of the validation split.
CLEARLY, ROWS = 0.01, 2
# A loss still falls if it is below this part of the one before.
FALLS = 0.9
# What is near the loss of guessing; above half of it, there is much left to learn.
NEAR, HALF = 0.9, 0.5
# A student may lose this part of its teacher's metric.
MAX_LOSS = 0.05


@dataclass(frozen=True)
class Standard:
    """What a training is held to.

    Attributes:
        table: The recipe's table that has its settings.
        settings: The settings of that table.
        metric: Name of the metric.
        rows: Rows of the validation split.
        learns_labels: Whether its loss is that of the labels, and not of a teacher's outputs.
        guess_loss: Loss of guessing by the labels' frequencies; None if the task does not tell.
        teacher: The teacher's metric on validation; None if there is no teacher, or it was not measured.
    """

    table: str
    settings: TrainSettings
    metric: str
    rows: int
    learns_labels: bool = False
    guess_loss: float | None = None
    teacher: float | None = None

    @property
    def clearly(self) -> float:
        """By how much a metric has to change to count."""
        return max(CLEARLY, ROWS / self.rows)

    @property
    def remedy(self) -> str:
        """The settings to raise, with their values."""
        epochs, rate = self.settings.epochs, self.settings.learning_rate
        return f"raise {self.table}.epochs (now {epochs:g}) or {self.table}.learning_rate (now {rate:g})"


@dataclass(frozen=True)
class Record:
    """What a training logged: `(step, value)` of every evaluation, and of the mean loss since the one before."""

    metrics: Sequence[tuple[int, float]]
    losses: Sequence[tuple[int, float]]
    steps: int
    stopped_early: bool = False

    @classmethod
    def of(cls, history: Iterable[Mapping[str, float]], metric: str, steps: int, stopped_early: bool) -> Record:
        """Read the Trainer's log."""
        found: dict[str, list[tuple[int, float]]] = {"loss": [], f"eval_{metric}": []}
        for entry in history:
            for key, pairs in found.items():
                if key in entry:
                    pairs.append((int(entry["step"]), float(entry[key])))
        return cls(found[f"eval_{metric}"], found["loss"], steps, stopped_early)

    def loss(self, third: int) -> float | None:
        """Mean training loss of the first (0), second or last third of the steps; None if none was logged there."""
        total, count, before = 0.0, 0, 0
        for step, loss in self.losses:
            if third * self.steps < 3 * step <= (third + 1) * self.steps:
                total, count = total + loss * (step - before), count + step - before
            before = step
        return total / count if count else None


def shortfalls(record: Record, standard: Standard, best: float) -> list[str]:
    """Say what a finished training lacked, a line each with the setting to change; none if nothing shows.

    Args:
        record: What it logged.
        standard: What it is held to.
        best: The metric of the weights that were kept.
    """
    lines = [_unfitted(record, standard) or _rising(record, standard) or _falling(record, standard)]
    lines.append(_far_below(standard, best))
    return [line for line in lines if line]


def _unfitted(record: Record, standard: Standard) -> str:
    """The loss of the labels stayed near that of guessing."""
    last, guess = record.loss(2), standard.guess_loss
    if not standard.learns_labels or not guess or last is None or last < NEAR * guess:
        return ""
    return (
        f"the training data was hardly learnt: its loss ended at {last:.3g}, and guessing by the labels' frequencies "
        f"has {guess:.3g}; {standard.remedy}, or lower the rate if the loss never fell"
    )


def _rising(record: Record, standard: Standard) -> str:
    """The last evaluation is the best, clearly above those of the first two thirds."""
    early = [figure for step, figure in record.metrics if 3 * step <= 2 * record.steps]
    if record.stopped_early or not early:
        return ""
    *before, last = (figure for _, figure in record.metrics)
    if last <= max(before, default=last) or last - max(early) <= standard.clearly:
        return ""
    return (
        f"{standard.metric} on validation still rose when training ended, from {max(early):.4f} to {last:.4f} in the "
        f"last third; {standard.remedy}"
    )


def _falling(record: Record, standard: Standard) -> str:
    """With no early evaluation to compare with: the loss of the labels still fell, and most of it is left."""
    first, middle, last = (record.loss(third) for third in range(3))
    if not standard.learns_labels or record.stopped_early or len(record.metrics) > 1:
        return ""
    whole = standard.guess_loss or first
    if whole is None or middle is None or last is None or last >= FALLS * middle or last <= HALF * whole:
        return ""
    return (
        f"the training loss still fell when training ended, from {middle:.3g} to {last:.3g} in the last third; "
        f"{standard.remedy}"
    )


def _far_below(standard: Standard, best: float) -> str:
    """The student lost much of its teacher's metric."""
    teacher = standard.teacher
    if teacher is None or teacher <= 0 or teacher - best <= max(MAX_LOSS * teacher, ROWS / standard.rows):
        return ""
    return (
        f"the student has {standard.metric} {best:.4f} on validation, its teacher {teacher:.4f}; {standard.remedy}, "
        "keep more of the teacher, or add text in data.unlabelled"
    )
