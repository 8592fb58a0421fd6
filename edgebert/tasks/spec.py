"""What EdgeBERT knows of a task before a bundle is open."""

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
        settings: Frozen dataclass of what a recipe's `[head]` table may hold.
        metric_names: Names of the metrics, the default first.
        scoring: Makes the metrics. It imports numpy, which a process that only predicts may not need.
        outputs: Outputs of the graph in order: their names, and whether each has a row for every token.
        read: Reads a data file; returns examples whose labels are of the task's kind.
        data: What a labelled file is; None for a table of the recipe's columns.
        formats: Suffixes of labelled files; None for a task whose files have any name, or are folders.
        input_keys: The two columns that `edgebert predict --input` reads; None for `text` and `text_pair`.
        label_key: The column of the labels beside `input_keys`.
        question: What the command line may be asked, as an example; None for a text or a pair of texts.
        encodes_alone: Whether every text of a row is an input of its own, so that texts may come without their pairs.
        counts_queries: Whether rows of the same first text are one query, which the metrics count in place of texts.
        is_tagged: Whether data files have a tag for every word.
        can_hold_out: Whether validation rows can be cut from the training rows: both are of one kind.
        read_split: `read` with what finds the tokens that are a word each; None for a task that splits no text.
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
        """Rows of a data file, texts split into words as a tokenizer with these added tokens splits them.

        Raises:
            DataError: The file cannot be used.
        """
        if self.read_split is None:
            return self.read(path, columns, settings)
        return self.read_split(path, columns, settings, find_tokens)
