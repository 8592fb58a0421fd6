"""Check the parts of a manifest that depend on its task, tokenizer or graph; `edgebert.manifest` checks the rest."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgebert.errors import BundleError, SettingsError
from edgebert.manifest import AGAIN, MANIFEST, TOKENIZER, Manifest, read_manifest
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.session import Graph
from edgebert.settings import fill
from edgebert.tasks.device import Task
from edgebert.tasks.table import device_task


def read_bundle(folder: Path) -> Manifest:
    """Read and check a bundle's manifest, including the values that its task reads.

    Raises:
        BundleError: Not a bundle, or a value of the manifest cannot be used; names the value.
    """
    manifest = read_manifest(folder)
    make_task(folder, manifest, None)
    return manifest


def make_task(folder: Path, manifest: Manifest, encoder: TextEncoder | None) -> Task:
    """Make the task of a manifest; without an encoder it can only read data and labels.

    Raises:
        BundleError: The task is unknown, or the manifest does not fit it.
    """
    path = folder / MANIFEST
    try:
        kind = device_task(manifest.task)
    except ValueError as error:
        raise BundleError(f"{folder}: {error}; update edgebert") from None
    spec = kind.spec
    try:
        fill(spec.settings, manifest.head.settings, f"{path}: damaged", "head.settings.")
        task = kind(manifest.facts, encoder)
        if manifest.outputs != tuple(spec.outputs):
            raise ValueError(f"outputs are not those of {spec.name}: {', '.join(spec.outputs)}")
        if manifest.data.metric not in spec.metric_names:
            raise ValueError(f"data.metric {manifest.data.metric!r:.60} is not one of {', '.join(spec.metric_names)}")
    except SettingsError as error:
        raise BundleError(f"{error}; {AGAIN}") from None
    except ValueError as error:
        raise BundleError(f"{path}: damaged: {error}; {AGAIN}") from None
    return task


def open_encoder(folder: Path, manifest: Manifest) -> TextEncoder:
    """Open a bundle's tokenizer, and check the manifest's lengths and ids against it.

    Raises:
        BundleError: The file is not a working tokenizer, or the manifest does not fit it.
    """
    encoder = TextEncoder(folder / "tokenizer.json", manifest.max_length)
    pairs = manifest.segments == 2
    needed = encoder.special_tokens(pairs) + (2 if pairs else 1)
    path = f"{folder / MANIFEST}: damaged"
    if manifest.max_length < needed:
        fault = f"max_length is {manifest.max_length}, but the tokenizer's special tokens need {needed}"
        raise BundleError(f"{path}: {fault}; {AGAIN}")
    if not encoder.has_id(pad_id := manifest.pad_id):
        raise BundleError(
            f"{path}: pad_id is {pad_id}, but the tokenizer has {encoder.vocabulary_size} tokens; {AGAIN}"
        )
    if fault := encoder.panic():
        raise BundleError(f"{folder / TOKENIZER}: damaged: cannot encode text ({fault}); {AGAIN}")
    return encoder


def check_graph(folder: Path, manifest: Manifest, task: Task, graph: Graph) -> None:
    """Compare a manifest with the opened graph.

    Raises:
        BundleError: Inputs, outputs or the number of labels differ.
    """
    fault = ""
    if set(graph.input_names) != set(manifest.inputs):
        fault = f"inputs are {_listed(manifest.inputs)}, the graph's are {_listed(graph.input_names)}"
    elif list(graph.output_widths) != list(manifest.outputs):
        fault = f"outputs are {_listed(manifest.outputs)}, the graph's are {_listed(graph.output_widths)}"
    for (name, found), expected in zip(graph.output_widths.items(), task.widths, strict=False):
        if not fault and None not in (found, expected) and found != expected:
            fault = f"{manifest.task} has {expected} label(s) for {name}, but the graph has {found} columns"
    if fault:
        raise BundleError(f"{folder / MANIFEST}: damaged: {fault}; {AGAIN}")


def _listed(names: Iterable[str]) -> str:
    return f"{', '.join(names):.200}" or "none"
