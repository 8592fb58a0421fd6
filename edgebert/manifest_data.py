"""Manifest entries about data: the files that a bundle was made from, their columns, and metrics on them.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from edgebert.data.columns import Columns, columns_fault
from edgebert.settings import required_within, within

LARGEST = 1 << 53
SHA256 = re.compile(r"[0-9a-f]{64}")


def check_distinct(name: str, values: Iterable[str]) -> None:
    """Refuse a list that holds a value twice.

    Raises:
        ValueError: Names the list and the value.
    """
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{name} holds {value!r:.60} twice")
        seen.add(value)


def check_filled(name: str, value: str) -> None:
    """Refuse a text that is empty or blank.

    Raises:
        ValueError: Names the entry.
    """
    if not value.strip():
        raise ValueError(f"{name} is {value!r:.60}; expected a text that is not blank")


@dataclass(eq=False, repr=False)
class DataFile:
    """One data file: its split, its name as the recipe gave it, rows if they were counted, and its hash.

    `cut_share` and `cut_seed` choose the rows if two splits share one file (validation cut from train).
    """

    split: str
    file: str
    sha256: str
    rows: int | None = within(None, 0, LARGEST)
    cut_share: float | None = within(None, 0, 1)
    cut_seed: int | None = within(None, 0, LARGEST)

    def __post_init__(self) -> None:
        """Refuse a blank name, and a malformed hash."""
        check_filled("split", self.split)
        check_filled("file", self.file)
        if not SHA256.fullmatch(self.sha256):
            raise ValueError(f"sha256 is {self.sha256!r:.80}; expected 64 hexadecimal digits")


@dataclass(eq=False, repr=False)
class Data:
    """The data that the bundle was made from."""

    columns: Columns
    metric: str
    label_values: tuple[str, ...] = ()
    files: tuple[DataFile, ...] = ()

    def __post_init__(self) -> None:
        """Refuse columns that no row can be read by, and one label for two outputs."""
        if fault := columns_fault(self.columns):
            raise ValueError(f"columns: {fault}")
        check_distinct("label_values", self.label_values)


@dataclass(eq=False, repr=False)
class UnknownLabels:
    """Rows of a split with labels that the model does not have, and the labels with the number of rows of each."""

    rows: int = required_within(0, LARGEST)
    more: int = required_within(0, LARGEST)
    labels: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a label with no rows."""
        if odd := [(label, rows) for label, rows in self.labels.items() if not 1 <= rows <= self.rows]:
            label, rows = odd[0]
            raise ValueError(f"labels has {rows} rows with {label!r:.60}; expected 1 to {self.rows}")


@dataclass(eq=False, repr=False)
class QualityEntry:
    """A metric on one split; `cut` is the number of texts that were too long and were truncated."""

    metric: str
    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int = required_within(1, LARGEST)
    cut: int = within(0, 0, LARGEST)
    lacks: str = ""
    unknown_labels: UnknownLabels | None = None

    def __post_init__(self) -> None:
        """Refuse a missing value, half an interval, and more truncated texts than there are texts."""
        check_filled("metric", self.metric)
        if self.value is None and not self.lacks:
            raise ValueError("value is null, and lacks does not say why; expected a number")
        if (self.ci_low is None) != (self.ci_high is None):
            raise ValueError(f"ci_low is {self.ci_low} and ci_high {self.ci_high}; expected two numbers, or two nulls")
        if self.ci_low is not None and self.ci_high is not None and self.ci_low > self.ci_high:
            raise ValueError(f"ci_low is {self.ci_low}, above ci_high, {self.ci_high}")
        unknown = self.unknown_labels.rows if self.unknown_labels else 0
        for name, texts in (("cut", self.cut), ("unknown_labels.rows", unknown)):
            if texts > self.n:
                raise ValueError(f"{name} is {texts}; expected at most n, {self.n}")
