"""`edgebert export`: make a bundle from a recipe or a checkpoint."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path

from edgebert.bundle import read_manifest
from edgebert.commands.interrupts import ended_like_ctrl_c
from edgebert.commands.output import note, table, write, write_json
from edgebert.compress import distributed
from edgebert.compress.inferred import Asked
from edgebert.compress.report import ADVICE, advice_of
from edgebert.cpu import shown_cpu
from edgebert.errors import EdgeBertError
from edgebert.exporting import TEXTS, Exported, Order, export_bundle
from edgebert.manifest import Manifest
from edgebert.manifest_data import QualityEntry
from edgebert.measure.glance import glance
from edgebert.measure.workload import read_inputs
from edgebert.runtime.load import opened_files
from edgebert.runtime.quality import about, shown, units_of
from edgebert.settings import fill
from edgebert.strict_json import Json
from edgebert.tasks.table import spec_of


def run(arguments: argparse.Namespace) -> int:
    """Build a bundle, and report the result of every stage."""
    asked = Asked(
        arguments.task or "",
        arguments.pooling or "",
        tuple(name.strip() for name in arguments.labels.split(",")) if arguments.labels is not None else (),
        _path(arguments.text),
        arguments.pairs,
        arguments.precision,
    )
    order = Order(
        arguments.recipe,
        tuple(arguments.set),
        arguments.model,
        _path(arguments.data_dir),
        arguments.profile,
        _path(arguments.out),
        _path(arguments.work),
        arguments.strict_labels,
        asked,
        full_precision=not arguments.json,
        budget=arguments.budget or "",
    )
    with ended_like_ctrl_c():
        exported = export_bundle(order)
    if distributed.is_main():
        _show(exported, arguments)
    return 0


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


def _show(exported: Exported, arguments: argparse.Namespace) -> None:
    if arguments.json:
        write_json(exported.to_dict())
    elif exported.unchanged:
        digest = exported.bundle_hash[:16]
        write(f"nothing to do: {exported.bundle} (hash {digest}) is up to date")
        _advise(exported)
    else:
        _report(exported)
        if exported.full_precision:
            _time(exported.bundle, exported.full_precision, arguments)


def _time(bundle: Path, full_precision: Path, arguments: argparse.Namespace) -> None:
    """Time a bundle against full precision, and say how to measure and compare it properly."""
    from edgebert.comparing import has_library  # transformers, which a refused export does without

    note("comparing its speed with full precision, about ten seconds")
    texts = _path(arguments.text) or full_precision.parent / TEXTS
    try:
        found = glance(bundle, full_precision, read_inputs(texts, read_manifest(bundle)))
    except EdgeBertError as error:
        note(f"edgebert: it could not be timed: {error}")
        return
    interval = f" (95%: {found.ratio.ci_low:.2f} to {found.ratio.ci_high:.2f})" if found.ratio.ci_low else ""
    times = f"{found.bundle_ms:.2f} against {found.baseline_ms:.2f} ms per text"
    processes = f"{found.ratio.rounds} fresh processes each"
    write(
        f"speed: {found.ratio.value:.2f} times full precision{interval}, {times}, on this CPU, one thread, {processes}"
    )
    checkpoint, names = shlex.quote(arguments.recipe), [shlex.quote(str(path)) for path in (bundle, full_precision)]
    write(f"measure it: edgebert bench {names[0]} --data FILE --baseline {names[1]}")
    if has_library(arguments.recipe, read_manifest(bundle).task):
        write(f"compare it: edgebert compare {names[0]} {checkpoint}")


def _report(exported: Exported) -> None:
    manifest = read_manifest(exported.bundle)
    rows = [
        (
            stage.title,
            "kept" if stage.cached else f"{stage.seconds:.0f} s",
            _figures(stage.metrics, labelled=bool(manifest.labels)),
        )
        for stage in exported.stages
    ]
    write(table(("stage", "took", "gave"), rows))
    _advise(exported)
    for split, quality in manifest.metrics.items():
        write(f"{split} {quality.metric}: {shown(quality)} ({about(quality, units_of(manifest.task))})")
    if manifest.metrics:
        write(f"measured on: {shown_cpu(manifest.measured_on)}")
    write(f"size: {_sizes(manifest)}")
    write(f"bundle: {exported.bundle} (hash {exported.bundle_hash[:16]})")
    write(f"try it: edgebert predict {shlex.quote(str(exported.bundle))} {question_for(manifest)}")


def _advise(exported: Exported) -> None:
    """Report what the trainings lacked."""
    for stage in exported.stages:
        for line in advice_of(stage.metrics):
            write(f"{stage.title}: {line}")


def _sizes(manifest: Manifest) -> str:
    """Size of the files that each runtime reads, in MB."""
    sizes = {file.path: file.bytes for file in manifest.files}
    read = {name: opened_files(manifest, name) for name in manifest.runtime.graphs}
    parts = [f"{sum(sizes[path] for path in files) / 1e6:.1f} MB for {name}" for name, files in read.items() if files]
    return f"{', '.join(parts)}; {sum(sizes.values()) / 1e6:.1f} MB in all"


def question_for(manifest: Manifest) -> str:
    """An example input for a bundle of this task, as command line arguments."""
    usual = '"your text"' if manifest.segments == 1 else '"one text" --text-pair "another"'
    return spec_of(manifest.task).question or usual


def _figures(metrics: Mapping[str, Json], labelled: bool) -> str:
    parts = []
    for key, value in metrics.items():
        if key == "quality" and isinstance(value, dict):
            entries = {split: fill(QualityEntry, quality, "quality", strict=False) for split, quality in value.items()}
            parts += [f"{split} {entry.metric} {shown(entry)}" for split, entry in entries.items()]
        elif key in ("parity", "agreement") and isinstance(value, dict):
            # For an embedding or a single score, the index of the largest number has no meaning.
            same = f", the most likely labels the same in {value['agreement']:.1%} of texts" if labelled else ""
            parts.append(f"outputs within {value['max_difference']:.1e} of PyTorch's{same}")
        elif key != ADVICE and not isinstance(value, dict):
            parts.append(f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}")
    return ", ".join(parts)
