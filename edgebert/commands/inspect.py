"""`edgebert inspect`: show what a bundle is and how it was made, and check that its files exist with the right size."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgebert.bundle import bundle_hash, damages, read_document
from edgebert.commands.output import note, table, write, write_json
from edgebert.cpu import shown_cpu
from edgebert.data.examples import listed
from edgebert.errors import BundleError
from edgebert.escape import shown_value
from edgebert.manifest import Manifest
from edgebert.runtime.contract import read_bundle
from edgebert.runtime.cost import by_layer, read_cost
from edgebert.runtime.quality import about, shown, units_of
from edgebert.runtime.rows import data_file
from edgebert.runtime.sessions.core import kernel_names
from edgebert.runtimes import CORE, shown_precision

SHOWN_LENGTH = 128


def run(arguments: argparse.Namespace) -> int:
    """Print the manifest, as a page or as JSON.

    If files are missing or have a wrong size, the exit code is 2 and each has a line. Checks that read whole files are
    left to `edgebert verify`.
    """
    folder = Path(arguments.bundle)
    manifest = read_bundle(folder)
    found = list(damages(folder, manifest, hashes=False))
    if arguments.json:
        write_json({"bundle_hash": bundle_hash(folder), "damages": found, **read_document(folder)})
    else:
        _write_page(folder, manifest)
    for damage in found[:-1]:
        note(f"edgebert: {damage}")
    if found:
        raise BundleError(found[-1])
    return 0


def _write_page(folder: Path, manifest: Manifest) -> None:
    layers = ", ".join(f"{layer.heads}x{layer.ffn}" for layer in manifest.layers)
    facts = [
        ("name", manifest.name),
        ("task", _task(manifest)),
        ("precision", shown_precision(manifest.precision)),
        ("layers", f"{layers} (heads x neurons)"),
        *_chosen(manifest),
        *_prompts(manifest),
        *_work(manifest),
        ("longest input", f"{manifest.max_length} tokens, {manifest.segments} text(s)"),
        ("labelled data", data_file(manifest)),
        ("runtime", _runtimes(manifest)),
        *_core(manifest),
        ("profile", ": ".join(filter(None, (manifest.profile.name, manifest.profile.summary))) or "-"),
        ("base model", f"{manifest.base_model.source} ({manifest.base_model.licence or 'licence not stated'})"),
        ("stages", " > ".join(stage.stage for stage in manifest.stages)),
        ("hash", bundle_hash(folder)),
    ]
    facts += [
        (f"{split} {quality.metric}", f"{shown(quality)} ({about(quality, units_of(manifest.task))})")
        for split, quality in manifest.metrics.items()
    ]
    if manifest.metrics and manifest.measured_on:
        facts.append(("measured on", shown_cpu(manifest.measured_on)))
    write(table(("what", "is"), facts))
    write("")
    write(table(("file", "MB"), [(entry.path, f"{entry.bytes / 1e6:.2f}") for entry in manifest.files]))


def _core(manifest: Manifest) -> list[tuple[str, str]]:
    """How the native core runs the bundle here: its kernel, or why it cannot."""
    if CORE.name in manifest.runtime.graphs:
        return [("core", CORE.unusable() or f"kernel {kernel_names()[0]} on this CPU")]
    made = manifest.stages[-1].metrics.get(CORE.name) if manifest.stages else None
    reason = made.get("not_covered") if isinstance(made, dict) else None
    return [("core", f"does not run this model: {reason}" if reason else "not among the formats of the export")]


def _task(manifest: Manifest) -> str:
    labels = manifest.labels
    return f"{manifest.task}, {len(labels)} labels: {listed(labels)}" if labels else manifest.task


def _runtimes(manifest: Manifest) -> str:
    """The runtime that opens the bundle by default, and the others that can."""
    default = manifest.runtime.default
    others = [name for name in manifest.runtime.graphs if name != default]
    return f"{default}; also {', '.join(others)}" if others else default


def _chosen(manifest: Manifest) -> list[tuple[str, str]]:
    """Thresholds that an export chose on the validation split."""
    head, found = manifest.head, []
    if head.thresholds:
        each = [f"{label} {value:.4f}" for label, value in zip(manifest.labels, head.thresholds, strict=False)]
        found.append(("thresholds", listed(each)))
    if head.no_answer_threshold is not None:
        found.append(("no-answer threshold", f"{head.no_answer_threshold:.4f}"))
    return found


def _prompts(manifest: Manifest) -> list[tuple[str, str]]:
    """Prompts of a sentence encoder with their texts, and the one that every text gets by default."""
    prompts, default = (manifest.head.settings.get(name) for name in ("prompts", "default_prompt"))
    if not isinstance(prompts, dict) or not prompts:
        return []
    each = [f"{name} {shown_value(text, 40)}" for name, text in prompts.items()]
    return [("prompts", f"{listed(each)}; {default} by default" if default else f"{listed(each)}; none by default")]


def _work(manifest: Manifest) -> list[tuple[str, str]]:
    """Multiply-accumulates of one text, in total and by layer; empty for old bundles without counts."""
    products, length = read_cost(manifest), min(SHOWN_LENGTH, manifest.max_length)
    if not products:
        return []
    found = by_layer(products, length)
    total, rest = sum(found.values()), found.pop(None, 0)
    layers = ", ".join(f"{macs / 1e6:.1f}" for macs in found.values())
    shown = f"{total / 1e6:.1f} MMAC: layers {layers}; before and after them {rest / 1e6:.1f}"
    return [(f"work at {length} tokens", shown)]
