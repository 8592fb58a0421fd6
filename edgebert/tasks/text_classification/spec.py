"""Text classification: one label for a text or a pair of texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgebert.errors import DataError
from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example


@dataclass(frozen=True)
class Settings:
    """How scores are read from the head's outputs.

    `activation`: softmax for probabilities, none for raw outputs, as in most cross-encoders.
    """

    activation: Literal["softmax", "none"] = "softmax"


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read rows of a table or JSON Lines; the label is a string, or in JSON optionally an integer.

    Raises:
        DataError: A label is blank, or two labels differ only in white space at an end.
    """
    from edgebert.data.examples import read_examples

    rows = read_examples(path, columns)
    written: dict[str, str] = {}
    for row in rows:
        if row.label is not None and written.setdefault(row.label.strip(), row.label) != row.label:
            other = written[row.label.strip()]
            raise DataError(f"{row.place}: the label {row.label!r:.60} is also written {other!r:.60}; write it one way")
    return rows


def _scoring() -> Scoring:
    from edgebert.metrics.by_label import by_class
    from edgebert.metrics.scores import ACCURACY, F1, MACRO_F1, MATTHEWS

    metrics = {"accuracy": ACCURACY, "f1": F1, "macro_f1": MACRO_F1, "matthews": MATTHEWS}
    return Scoring(metrics, (by_class,))


SPEC = TaskSpec(
    name="text-classification",
    settings=Settings,
    metric_names=("accuracy", "f1", "macro_f1", "matthews"),
    scoring=_scoring,
    outputs={"logits": False},
    read=read,
    can_hold_out=True,
)
