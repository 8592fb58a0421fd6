"""The INT8 OpenVINO model of a bundle, under the same guard as the ONNX graph."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

from edgebert.exporters.graphs import GraphJob
from edgebert.exporters.guarded import Outcome
from edgebert.exporters.onnx import graph_inputs
from edgebert.exporters.quantize.guard import Guard
from edgebert.exporters.quantize.openvino import openvino_products, quantize_openvino
from edgebert.recipe import QuantizeSettings
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import OpenVinoSession, Session, bucket_lengths
from edgebert.target import ExportChoice

# Texts to calibrate on where products are only put in order: nncf calibrates anew for every one of them.
TRIAL_TEXTS = 32


def openvino_int8(
    job: GraphJob,
    graph: Path,
    calibration: list[Encoded],
    settings: QuantizeSettings,
    choice: ExportChoice,
    tuned: dict[str, object],
    out: Path,
) -> dict[str, object]:
    """Write the INT8 OpenVINO model of a full-precision ONNX graph.

    Args:
        job: The model and its texts.
        graph: The full-precision ONNX graph.
        calibration: Encoded texts.
        settings: The recipe's `[quantize]` table.
        choice: The profile's lengths and range.
        tuned: What the bundle's ONNX graph chose on the validation split: a bundle has one such choice.
        out: Folder for `model.xml` and `model.bin`.

    Returns:
        For the manifest: what it was calibrated and smoothed with and, where the recipe has `max_drop`, its `guard`.

    Raises:
        RunError: `settings.max_drop` cannot be held.
    """
    names = graph_inputs(graph)
    made: dict[str, object] = {}

    def make(rows: list[Encoded], tables: bool, leave: Collection[str], folder: Path) -> None:
        how = (settings.calibration, settings.smooth, leave, tables, choice.reduce_range)
        told = quantize_openvino(graph, rows, names, folder, *how)
        made.update(told)

    embeddings = settings.embeddings == "int8"
    if settings.max_drop is None:
        make(calibration, embeddings, (), out)
        return made
    outcome = Outcome(job, graph, lambda folder: open_openvino(folder, choice, job.run.max_length), tuned)
    usual, trial = partial(make, calibration, embeddings), partial(make, calibration[:TRIAL_TEXTS], False)
    products = openvino_products(graph)
    guard = Guard(products, usual, trial, outcome.quality, outcome.error, settings.max_drop, embeddings)
    found = guard.run(graph, out)
    return {**made, "guard": found}


def open_openvino(folder: Path, choice: ExportChoice, max_length: int) -> Session:
    """An OpenVINO model on this machine's processor, compiled for the profile's lengths up to the longest input."""
    return OpenVinoSession(folder / "model.xml", 2, bucket_lengths(choice.length_buckets, max_length))
