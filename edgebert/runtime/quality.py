"""Quality on the device: score predictions against labels, with an interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Required, TypedDict

import numpy as np

from edgebert.data.examples import Example
from edgebert.data.unknown import Unknown, UnknownRow, gold, sentence
from edgebert.manifest import Manifest
from edgebert.manifest_data import QualityEntry
from edgebert.metrics.scores import Metric, Table, interval_of
from edgebert.runtime.model import Model
from edgebert.settings import fill
from edgebert.tasks.table import spec_of

RESAMPLES = 1000

Watch = Callable[[list[Example]], Iterator[Example]]


class CountedRow(TypedDict, total=False):
    """What a result reports about the texts of a metric, if anything."""

    cut: int
    unknown_labels: UnknownRow


class QualityRow(CountedRow, total=False):
    """`Quality` in the form of results and stage reports."""

    metric: Required[str]
    value: Required[float]
    n: int
    ci_low: float | None
    ci_high: float | None
    lacks: str
    counts: str


@dataclass(frozen=True)
class Quality:
    """A metric over `n` texts with its 95% interval from resampled texts (seeded); None without an interval.

    `lacks` names what the texts lack if the metric is undefined for them; its value then means nothing.
    """

    metric: str
    value: float
    n: int
    ci_low: float | None
    ci_high: float | None
    lacks: str = ""

    @property
    def entry(self) -> QualityEntry:
        """Return the rounded form for a manifest."""
        return fill(QualityEntry, self.as_dict(), "quality")

    def as_dict(self) -> QualityRow:
        """Return a plain dictionary, rounded to significant digits; with `lacks` if it is set."""
        row: QualityRow = {
            "metric": self.metric,
            "value": round(self.value, 6),
            "n": self.n,
            "ci_low": None if self.ci_low is None else round(self.ci_low, 6),
            "ci_high": None if self.ci_high is None else round(self.ci_high, 6),
        }
        return {**row, "lacks": self.lacks} if self.lacks else row


@dataclass(frozen=True)
class Answers:
    """Correct answers and the model's answers, one entry per text, in the form that the metrics compare.

    `cut` is the number of truncated texts, which have more tokens than the model takes. Tasks that read a long text in
    several windows truncate none. `unknown` are labels of `expected` that the model does not have. `n` is the number of
    texts; where the metrics count queries, both are numbers of queries.
    """

    expected: list[object]
    predicted: list[object]
    cut: int
    unknown: Unknown = field(default_factory=Unknown)
    n: int = 0

    def counted(self) -> CountedRow:
        """What a result reports about the texts besides a metric, if anything: `cut`, `unknown_labels`."""
        told: CountedRow = {"cut": self.cut} if self.cut else {}
        return {**told, "unknown_labels": self.unknown.as_dict()} if self.unknown.rows else told

    def cut_share(self) -> float:
        """Return the share of truncated texts, 0 to 1."""
        return self.cut / self.n if self.n else 0.0


def shown(quality: QualityEntry) -> str:
    """Format the value for people; for an undefined metric, say so."""
    return "undefined" if quality.lacks or quality.value is None else f"{quality.value:.4f}"


def units_of(task: str) -> str:
    """What a task's metrics count: texts, or queries with all of their documents."""
    return "queries" if spec_of(task).counts_queries else "texts"


def with_units(row: QualityRow, task: str) -> QualityRow:
    """Add to a row what the task's metrics count, unless they count texts."""
    units = units_of(task)
    return row if units == "texts" else {**row, "counts": units}


def units_in(rows: Iterable[QualityRow | None]) -> str:
    """What the metrics in one result count: texts, or queries with all of their documents."""
    return next((row["counts"] for row in rows if row and "counts" in row), "texts")


def counted(n: int, units: str) -> str:
    """Format a number of texts or queries."""
    return f"{n} {units if n != 1 else {'texts': 'text', 'queries': 'query'}[units]}"


def about(quality: QualityEntry, units: str = "texts") -> str:
    """Describe a value: its interval and number of texts (or `units`), or what the texts lack."""
    texts = counted(quality.n, units)
    if quality.cut:
        texts += f", {quality.cut} of them ({quality.cut / quality.n:.1%}) cut"
    if quality.unknown_labels:
        texts += f", {quality.unknown_labels.rows} of them with labels that the model does not have"
    if quality.lacks:
        return f"{texts}, without {quality.lacks}"
    if quality.ci_low is None or quality.ci_high is None:
        return f"no interval, {texts}"
    return f"95% {quality.ci_low:.4f} to {quality.ci_high:.4f}, {texts}"


def labels_unknown(rows: Iterable[QualityRow | None]) -> list[str]:
    """Sentences about labels that the models do not have, for a quality table; each sentence once."""
    held = [(row["unknown_labels"], row.get("n")) for row in rows if row and row.get("unknown_labels")]
    found = [sentence(unknown["labels"], unknown["more"], unknown["rows"], n or unknown["rows"]) for unknown, n in held]
    return [f"{line}; they count as wrong" for line in dict.fromkeys(found)]


def evaluate(model: Model, examples: Iterable[Example], metric: str) -> Quality:
    """Score a model on rows of a data file, one text at a time, as a device answers.

    Dynamic INT8 scales activations by the whole batch, so other texts of a batch would change a text's answer.

    Raises:
        DataError: A row has no label, or the bundle refuses its text.
    """
    chosen, answers = model.task.spec.metrics[metric], answer(model, examples)
    return measure_quality(metric, chosen, answers.expected, answers.predicted)


def scored(model: Model, examples: Iterable[Example], metric: str, watch: Watch = iter) -> QualityRow:
    """Score a model as `evaluate` does; return a plain dictionary that includes `Answers.counted`.

    Raises:
        DataError: As `evaluate`.
    """
    answers = answer(model, examples, watch)
    chosen = model.task.spec.metrics[metric]
    return {**measure_quality(metric, chosen, answers.expected, answers.predicted).as_dict(), **answers.counted()}


def evaluate_all(model: Model, examples: Iterable[Example]) -> dict[str, Quality]:
    """Compute every metric of the model's task on rows of a data file; the bundle's own metric comes first.

    Each row is answered once. Metrics for two labels are left out if there are more.

    Raises:
        DataError: As `evaluate`.
    """
    return score_all(model.manifest, answer(model, examples))


def score_all(manifest: Manifest, answers: Answers) -> dict[str, Quality]:
    """Compute every metric of a bundle's task from its answers; see `evaluate_all`."""
    own, metrics = manifest.data.metric, spec_of(manifest.task).metrics
    fit = [name for name, metric in metrics.items() if metric.labels in (None, len(manifest.labels))]
    names = [own, *(name for name in fit if name != own)]
    return {name: measure_quality(name, metrics[name], answers.expected, answers.predicted) for name in names}


def metric_of(task: str, name: str) -> Metric:
    """Find a task's metric by its name."""
    return spec_of(task).metrics[name]


def answer(model: Model, examples: Iterable[Example], watch: Watch = iter) -> Answers:
    """Answer every row of a data file, one text at a time.

    Args:
        model: An opened bundle.
        examples: Rows with labels; those that the model does not have count as wrong.
        watch: Wraps the rows, to show progress.

    Raises:
        DataError: A row has no label, or the bundle refuses its text.
    """
    task, rows = model.task, list(examples)
    units = [row.text if task.spec.counts_queries else at for at, row in enumerate(rows)]
    expected, unknown = gold(task, rows)
    predicted, cut = [], set()
    for example, unit in zip(watch(rows), units, strict=True):
        with example.told():
            prediction = model(task.given(example))
            predicted.append(task.predicted(prediction))
        if prediction.is_cut:
            cut.add(unit)
    return Answers(expected, predicted, len(cut), unknown, len(set(units)))


def measure_quality(name: str, metric: Metric, expected: Sequence[object], predicted: Sequence[object]) -> Quality:
    """Score predictions, one per text, in the form that the task's metrics compare.

    See `quality_of` for the interval.
    """
    return quality_of(name, metric, metric.table(expected, predicted))


def quality_of(name: str, metric: Metric, table: Table) -> Quality:
    """Compute a metric from its table, one row per text.

    The interval comes from 1,000 resamples of the texts. Resamples on which the metric is undefined are left out if
    they are few (`interval_of`).
    """
    random = np.random.default_rng(0)
    value, lacks = metric.figure(table), metric.lacks(table)
    resampled = (table[rows] for rows in random.integers(0, len(table), size=(RESAMPLES, len(table))))
    draws = [metric.figure(one) for one in resampled if lacks or not metric.lacks(one)]
    return Quality(name, value, len(table), *interval_of(draws, len(table)), lacks)
