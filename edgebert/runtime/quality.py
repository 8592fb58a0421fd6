"""Quality on the device: predictions against what is right, with an interval."""

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
    """What a result says of the texts beside a figure, if there is anything."""

    cut: int
    unknown_labels: UnknownRow


class QualityRow(CountedRow, total=False):
    """`Quality` as results and stages of an export hold it."""

    metric: Required[str]
    value: Required[float]
    n: int
    ci_low: float | None
    ci_high: float | None
    lacks: str
    counts: str


@dataclass(frozen=True)
class Quality:
    """A metric's value over `n` texts, and its 95% interval from resampled texts (seeded); None if there is none.

    `lacks` names what is missing from the texts for the metric to say anything: its value is then no figure.
    """

    metric: str
    value: float
    n: int
    ci_low: float | None
    ci_high: float | None
    lacks: str = ""

    @property
    def entry(self) -> QualityEntry:
        """The same as a manifest holds it, rounded."""
        return fill(QualityEntry, self.as_dict(), "quality")

    def as_dict(self) -> QualityRow:
        """Plain dictionary, rounded to what the figures are good for; `lacks` where there is something to tell."""
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
    """What is right and what a model answered, one entry a text, in the form that the task's metrics compare.

    `cut` is the number of texts of which the model saw a part only, because they have more tokens than it takes. Tasks
    that read a long text in several windows cut none. `unknown` are labels of `expected` that the model does not have.
    `n` is the number of texts; where the metrics count queries, both are numbers of queries.
    """

    expected: list[object]
    predicted: list[object]
    cut: int
    unknown: Unknown = field(default_factory=Unknown)
    n: int = 0

    def counted(self) -> CountedRow:
        """What a result says of the texts beside a figure, if there is anything: `cut`, `unknown_labels`."""
        told: CountedRow = {"cut": self.cut} if self.cut else {}
        return {**told, "unknown_labels": self.unknown.as_dict()} if self.unknown.rows else told

    def cut_share(self) -> float:
        """Return the share of texts that were cut, 0 to 1."""
        return self.cut / self.n if self.n else 0.0


def shown(quality: QualityEntry) -> str:
    """The value as people are told it; of a metric that says nothing of its texts, that it is undefined."""
    return "undefined" if quality.lacks or quality.value is None else f"{quality.value:.4f}"


def units_of(task: str) -> str:
    """What the metrics of a task count: texts, or queries with all of their documents."""
    return "queries" if spec_of(task).counts_queries else "texts"


def with_units(row: QualityRow, task: str) -> QualityRow:
    """A row that says what the task's metrics count, where that is not texts."""
    units = units_of(task)
    return row if units == "texts" else {**row, "counts": units}


def units_in(rows: Iterable[QualityRow | None]) -> str:
    """What the metrics of rows of one result count: texts, or queries with all of their documents."""
    return next((row["counts"] for row in rows if row and "counts" in row), "texts")


def counted(n: int, units: str) -> str:
    """So many texts, or queries."""
    return f"{n} {units if n != 1 else {'texts': 'text', 'queries': 'query'}[units]}"


def about(quality: QualityEntry, units: str = "texts") -> str:
    """What stands behind the value: its interval, and how many texts (or `units`); or what they lack."""
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
    """Sentences about labels that the models do not have, beside figures of quality; each sentence once."""
    held = [(row["unknown_labels"], row.get("n")) for row in rows if row and row.get("unknown_labels")]
    found = [sentence(unknown["labels"], unknown["more"], unknown["rows"], n or unknown["rows"]) for unknown, n in held]
    return [f"{line}; they count as wrong" for line in dict.fromkeys(found)]


def evaluate(model: Model, examples: Iterable[Example], metric: str) -> Quality:
    """Score a model on rows of a data file, one text at a time, as a device answers.

    Dynamic INT8 scales activations by the whole batch, so a text's batchmates would be heard in its answer.

    Raises:
        DataError: A row without a label, or whose text the bundle cannot answer.
    """
    chosen, answers = model.task.spec.metrics[metric], answer(model, examples)
    return measure_quality(metric, chosen, answers.expected, answers.predicted)


def scored(model: Model, examples: Iterable[Example], metric: str, watch: Watch = iter) -> QualityRow:
    """Score a model as `evaluate` does, as a plain dictionary with what `Answers.counted` says of the texts.

    Raises:
        DataError: As of `evaluate`.
    """
    answers = answer(model, examples, watch)
    chosen = model.task.spec.metrics[metric]
    return {**measure_quality(metric, chosen, answers.expected, answers.predicted).as_dict(), **answers.counted()}


def evaluate_all(model: Model, examples: Iterable[Example]) -> dict[str, Quality]:
    """Every metric of the model's task on rows of a data file, each row asked once; the bundle's own metric first.

    What is for two labels alone is left out where there are more.

    Raises:
        DataError: As of `evaluate`.
    """
    return score_all(model.manifest, answer(model, examples))


def score_all(manifest: Manifest, answers: Answers) -> dict[str, Quality]:
    """Compute every metric of a bundle's task from its answers; see `evaluate_all`."""
    own, metrics = manifest.data.metric, spec_of(manifest.task).metrics
    fit = [name for name, metric in metrics.items() if metric.labels in (None, len(manifest.labels))]
    names = [own, *(name for name in fit if name != own)]
    return {name: measure_quality(name, metrics[name], answers.expected, answers.predicted) for name in names}


def metric_of(task: str, name: str) -> Metric:
    """A task's metric by its name."""
    return spec_of(task).metrics[name]


def answer(model: Model, examples: Iterable[Example], watch: Watch = iter) -> Answers:
    """Ask a model every row of a data file, one text at a time.

    Args:
        model: An opened bundle.
        examples: Rows with labels; those that the model does not have count as wrong.
        watch: Goes over the rows while they are answered, to show how far it is.

    Raises:
        DataError: A row without a label, or whose text the bundle cannot answer.
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
    """Score predictions, one a text, in the form that the task's metrics compare.

    See `quality_of` for the interval.
    """
    return quality_of(name, metric, metric.table(expected, predicted))


def quality_of(name: str, metric: Metric, table: Table) -> Quality:
    """A metric of its table, one row a text.

    The interval is that of 1,000 resamples of the texts, less those of few texts that lack what the metric is about
    (`interval_of`).
    """
    random = np.random.default_rng(0)
    value, lacks = metric.figure(table), metric.lacks(table)
    resampled = (table[rows] for rows in random.integers(0, len(table), size=(RESAMPLES, len(table))))
    draws = [metric.figure(one) for one in resampled if lacks or not metric.lacks(one)]
    return Quality(name, value, len(table), *interval_of(draws, len(table)), lacks)
