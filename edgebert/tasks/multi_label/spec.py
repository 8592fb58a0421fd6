"""Multi-label classification: any number of labels, or none, for a text or a pair of texts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgebert.tasks.spec import Scoring, TaskSpec

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example


@dataclass(frozen=True)
class Settings:
    """Separator between the labels in a table's cell."""

    separator: str = ","

    def __post_init__(self) -> None:
        """Refuse an empty separator."""
        if not self.separator:
            raise ValueError("separator is ''; expected at least one character")


def read(path: Path, columns: Columns, settings: Settings) -> list[Example]:
    """Read rows of a table, with labels joined by the separator in a cell, or of JSON Lines, with a list of labels.

    Raises:
        DataError: The value is not a list, or a label is blank, repeated or contains the separator.
    """
    from edgebert.data.examples import read_examples

    json_lines = Path(path.name.removesuffix(".gz")).suffix.lower() == ".jsonl"

    def parse(value: object) -> tuple[str, ...]:
        return _distinct(_listed(value) if json_lines else _split(value, settings.separator), settings.separator)

    return read_examples(path, columns, parse)


def _listed(value: object) -> list[str]:
    from edgebert.data.examples import one_class

    if not isinstance(value, list):
        raise ValueError("a list of strings")
    try:
        return [item if isinstance(item, str) else one_class(item) for item in value]
    except ValueError:
        raise ValueError("a list of strings") from None


def _split(value: object, separator: str) -> list[str]:
    cell = str(value)
    return cell.split(separator) if cell.strip() else []


def _distinct(items: list[str], separator: str) -> tuple[str, ...]:
    labels: dict[str, None] = {}  # in order, and found at once among thousands
    for label in map(str.strip, items):
        if not label:
            raise ValueError(f"labels that are not blank, with head.separator {separator!r} between them")
        if separator in label:
            raise ValueError(f"labels without head.separator {separator!r} in them, unlike {label!r}")
        if label in labels:
            raise ValueError(f"each label once, not {label!r} twice")
        labels[label] = None
    return tuple(labels)


def _scoring() -> Scoring:
    from edgebert.metrics.by_label import by_chosen
    from edgebert.metrics.chosen import CHOSEN_METRICS

    return Scoring(CHOSEN_METRICS, (by_chosen,))


SPEC = TaskSpec(
    name="multi-label",
    settings=Settings,
    metric_names=("micro_f1", "macro_f1", "accuracy"),
    scoring=_scoring,
    outputs={"logits": False},
    read=read,
    can_hold_out=True,
)
