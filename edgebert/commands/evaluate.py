"""`edgebert evaluate`: the metrics of a bundle's task on labelled text."""

from __future__ import annotations

import argparse
from pathlib import Path

import edgebert
from edgebert.bundle import read_manifest
from edgebert.commands.output import named_columns, note, table, write, write_json
from edgebert.data.empty import note_of_skipped
from edgebert.data.unknown import check_labels, note_of, unknown_labels
from edgebert.errors import InputError
from edgebert.escape import escaped
from edgebert.manifest import Manifest
from edgebert.metrics.by_label import Breakdown, ByLabel
from edgebert.runtime.model import Model
from edgebert.runtime.quality import Answers, QualityRow, about, answer, counted, score_all, shown, units_of
from edgebert.runtime.rows import read_rows
from edgebert.tasks.table import spec_of, task_names


def run(arguments: argparse.Namespace) -> int:
    """Score a bundle on a labelled file: the metric it was made for first, then the task's others."""
    kinds = _breakdowns(Path(arguments.bundle)) if arguments.by_label else ()
    model: Model = edgebert.load(arguments.bundle, runtime=arguments.runtime, threads=arguments.threads)
    path = Path(arguments.data)
    rows = read_rows(path, model.manifest, named_columns(arguments), model.task.find_tokens)
    if said := note_of_skipped(path, rows):
        note(f"edgebert: {said}")
    unknown = unknown_labels(model.task, rows)
    if arguments.strict_labels:
        check_labels(unknown, model.task)
    if unknown.rows:
        note(f"edgebert: {note_of(unknown, path)}")
    answers = answer(model, rows)
    found = list(score_all(model.manifest, answers).values())
    parts = [kind(model.labels, answers.expected, answers.predicted, tuple(unknown.labels)) for kind in kinds]
    _note_cut(answers, model.manifest)
    if arguments.json:
        own, *others = (_plain(quality.as_dict()) for quality in found)
        document = {"bundle": arguments.bundle, "data": arguments.data, "quality": own, "others": others}
        document["skipped_rows"] = len(rows.skipped)
        document["unknown_labels"] = unknown.as_dict()
        document["truncated"] = {"texts": answers.cut, "share": round(answers.cut_share(), 6)}
        write_json(document | ({"by_label": [part.to_dict() for part in parts]} if parts else {}))
        return 0
    for quality in (each.entry for each in found):
        write(escaped(f"{quality.metric} {shown(quality)} ({about(quality, units_of(model.manifest.task))})"))
    for part in parts:
        _write_breakdown(part)
    return 0


def _breakdowns(bundle: Path) -> tuple[ByLabel, ...]:
    """Functions that break down the answers of a bundle's task, found from its manifest alone.

    Raises:
        InputError: The task has no labels.
    """
    task = read_manifest(bundle).task
    kinds = spec_of(task).by_label if task in task_names() else ()
    if not kinds and task in task_names():
        raise InputError(f"--by-label: the task {task} of {bundle} has no labels; leave --by-label out")
    return kinds


def _note_cut(answers: Answers, manifest: Manifest) -> None:
    """Report on stderr how many texts were truncated, if any."""
    if answers.cut:
        texts = counted(answers.n, units_of(manifest.task))
        note(f"edgebert: {answers.cut} of {texts} ({answers.cut_share():.1%}) cut to {manifest.max_length} tokens")


def _write_breakdown(part: Breakdown) -> None:
    """Write the scores of every label, then the most frequent confusions if the task has any."""
    scores = [
        (_oneline(row.label), *map(_figure, (row.precision, row.recall, row.f1)), row.support) for row in part.labels
    ]
    write("")
    write(table((part.of, "precision", "recall", "f1", "support"), scores))
    if part.confusions:
        rows = [(_oneline(row.expected), _oneline(row.predicted), row.count) for row in part.confusions]
        write("")
        write(table((f"expected {part.of}", "predicted", "count"), rows))


def _figure(value: float | None) -> str:
    """Format a score with four decimals; a hyphen if there is no score."""
    return "-" if value is None else f"{value:.4f}"


def _oneline(label: str) -> str:
    return " ".join(label.split())


def _plain(quality: QualityRow) -> dict[str, object]:
    """Prepare scores for JSON: null for a missing one."""
    return {**quality, **(dict.fromkeys(("value", "ci_low", "ci_high")) if quality.get("lacks") else {})}
