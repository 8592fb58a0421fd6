"""What EdgeBERT knows about a task without a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from edgebert.data.formats import TABLES

if TYPE_CHECKING:
    from edgebert.data.columns import Columns
    from edgebert.data.examples import Example
    from edgebert.data.words import FindTokens
    from edgebert.metrics.by_label import ByLabel
    from edgebert.metrics.scores import Metric

SettingsT = TypeVar("SettingsT")


@dataclass(frozen=True)
class Scoring:
    """How answers are scored.

    Attributes:
        metrics: Metrics by name, the default first.
        by_label: Breakdowns for `edgebert evaluate --by-label`; empty for a task without labels.
    """

    metrics: Mapping[str, Metric]
    by_label: tuple[ByLabel, ...] = ()


@dataclass(frozen=True)
class TaskSpec(Generic[SettingsT]):
    """Names, settings, data and metrics of a task.

    Attributes:
        name: Name in recipes and manifests.
        settings: Frozen dataclass of a recipe's `[head]` table.
        metric_names: Names of the metrics, the default first.
        scoring: Function that makes the metrics. It imports numpy, which a process that only predicts may not need.
        outputs: Outputs of the graph in order: name, and whether it has one row per token.
        read: Reads a data file; returns examples with the task's type of label.
        data: Description of a labelled file; None for a table with the recipe's columns.
        formats: Suffixes of labelled files; None for a task whose files have any name, or are folders.
        input_keys: The two columns that `edgebert predict --input` reads; None for `text` and `text_pair`.
        label_key: The label column besides `input_keys`.
        question: Example input for the command line; None for a text or a pair of texts.
        encodes_alone: Whether every text of a row is a separate input, so that texts may come without a second one.
        counts_queries: Whether rows with the same first text form one query, which metrics count instead of texts.
        is_tagged: Whether data files have a tag for every word.
        can_hold_out: Whether validation rows can be split off the training rows, since both have the same form.
        read_split: `read` with a function that finds tokens that are one word each; None for a task that splits no
            text.
    """

    name: str
    settings: type[SettingsT]
    metric_names: tuple[str, ...]
    scoring: Callable[[], Scoring]
    outputs: Mapping[str, bool]
    read: Callable[[Path, Columns, SettingsT], list[Example]]
    data: str | None = None
    formats: tuple[str, ...] | None = TABLES
    input_keys: tuple[str, str] | None = None
    label_key: str = "label"
    question: str | None = None
    encodes_alone: bool = False
    counts_queries: bool = False
    is_tagged: bool = False
    can_hold_out: bool = False
    read_split: Callable[[Path, Columns, SettingsT, FindTokens | None], list[Example]] | None = None

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by name, the default first."""
        return self._scoring.metrics

    @property
    def by_label(self) -> tuple[ByLabel, ...]:
        """Breakdowns for `edgebert evaluate --by-label`; empty for a task without labels."""
        return self._scoring.by_label

    @cached_property
    def _scoring(self) -> Scoring:
        return self.scoring()

    def rows(self, path: Path, columns: Columns, settings: SettingsT, find_tokens: FindTokens | None) -> list[Example]:
        """Rows of a data file; texts are split into words around these added tokens.

        Raises:
            DataError: The file cannot be used.
        """
        if self.read_split is None:
            return self.read(path, columns, settings)
        return self.read_split(path, columns, settings, find_tokens)
