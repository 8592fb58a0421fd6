"""Find from a training's log what it lacked: too few epochs, a wrong learning rate, a student far below.

This computes nothing new: it reads the losses and evaluations that the training logs anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from edgebert.recipe import TrainSettings

# A metric has changed if it did by more than this, and by more than this number of validation rows.
CLEARLY, ROWS = 0.01, 2
# A loss is still falling if it is below this fraction of the one before.
FALLS = 0.9
# Fraction of the loss of guessing that is "near" it; above half of it, much is left to learn.
NEAR, HALF = 0.9, 0.5
# A student may lose this fraction of its teacher's metric.
MAX_LOSS = 0.05


@dataclass(frozen=True)
class Standard:
    """What a training's log is judged by.

    Attributes:
        table: The recipe's table with its settings.
        settings: The settings of that table.
        metric: Name of the metric.
        rows: Rows of the validation split.
        learns_labels: Whether its loss is computed from labels and not from a teacher's outputs.
        guess_loss: Loss of guessing by the labels' frequencies; None if the task does not define it.
        teacher: The teacher's metric on validation; None without a teacher or a measurement.
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
        """Smallest change of the metric that counts."""
        return max(CLEARLY, ROWS / self.rows)

    @property
    def remedy(self) -> str:
        """The settings to raise, with their values."""
        epochs, rate = self.settings.numbers.epochs, self.settings.numbers.learning_rate
        return f"raise {self.table}.epochs (now {epochs:g}) or {self.table}.learning_rate (now {rate:g})"


@dataclass(frozen=True)
class Record:
    """A training's log: `(step, value)` of every evaluation, and of the mean loss since the previous one."""

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
        """Mean training loss in the first (0), second or last third of the steps; None if none was logged there."""
        total, count, before = 0.0, 0, 0
        for step, loss in self.losses:
            if third * self.steps < 3 * step <= (third + 1) * self.steps:
                total, count = total + loss * (step - before), count + step - before
            before = step
        return total / count if count else None


def shortfalls(record: Record, standard: Standard, best: float) -> list[str]:
    """Say what a finished training lacked, one line each with the setting to change; empty if nothing shows.

    Args:
        record: The training's log.
        standard: What the log is judged by.
        best: Metric of the kept weights.
    """
    lines = [_unfitted(record, standard) or _rising(record, standard) or _falling(record, standard)]
    lines.append(_far_below(standard, best))
    return [line for line in lines if line]


def _unfitted(record: Record, standard: Standard) -> str:
    """Report a loss on labels that stayed near the loss of guessing."""
    last, guess = record.loss(2), standard.guess_loss
    if not standard.learns_labels or not guess or last is None or last < NEAR * guess:
        return ""
    return (
        f"the training data was hardly learnt: its loss ended at {last:.3g}, and guessing by the labels' frequencies "
        f"has {guess:.3g}; {standard.remedy}, or lower the rate if the loss never fell"
    )


def _rising(record: Record, standard: Standard) -> str:
    """Report a last evaluation that is the best, clearly above those of the first two thirds."""
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
    """Report a loss on labels that was still falling, when there is no early evaluation to compare with."""
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
    """Report a student whose metric is far below its teacher's."""
    teacher = standard.teacher
    if teacher is None or teacher <= 0 or teacher - best <= max(MAX_LOSS * teacher, ROWS / standard.rows):
        return ""
    return (
        f"the student has {standard.metric} {best:.4f} on validation, its teacher {teacher:.4f}; {standard.remedy}, "
        "keep more of the teacher, or add text in data.unlabelled"
    )
