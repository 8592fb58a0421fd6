"""Write the INT8 OpenVINO model of a bundle, with the same guard as for the ONNX graph."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

from edgebert.exporters.guarded import Outcome
from edgebert.exporters.onnx import graph_inputs
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.guard import Guard
from edgebert.exporters.quantize.openvino import NncfOptions, openvino_products, quantize_openvino
from edgebert.exporters.writers import Int8Parts
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Session, bucket_lengths
from edgebert.runtime.sessions.openvino import OpenVinoSession
from edgebert.strict_json import Json
from edgebert.target import ExportChoice

# Number of calibration texts while matmuls are sorted: nncf calibrates again for every matmul.
TRIAL_TEXTS = 32


def openvino_int8(parts: Int8Parts, out: Path) -> dict[str, Json]:
    """Write the INT8 OpenVINO model of a full-precision ONNX graph.

    Args:
        parts: The graph, and the inputs of its INT8 model.
        out: Folder for `model.xml` and `model.bin`.

    Returns:
        Values for the manifest: settings of calibration and smoothing and, if the recipe has `max_drop`, the `guard`.

    Raises:
        RunError: `settings.max_drop` cannot be held.
    """
    job, graph, calibration, settings = parts.job, parts.graph, parts.calibration, parts.settings
    made: dict[str, Json] = {}

    def make(rows: list[Encoded], tables: bool, leave: Collection[str], folder: Path) -> None:
        made.update(quantized(parts, rows, tables, leave, folder))

    embeddings = settings.embeddings == "int8"
    if settings.max_drop is None:
        make(calibration, embeddings, (), out)
        return made
    outcome = Outcome(job, graph, lambda folder: open_openvino(folder, parts.choice, job.run.max_length), parts.tuned)
    usual, trial = partial(make, calibration, embeddings), partial(make, calibration[:TRIAL_TEXTS], False)
    products = openvino_products(graph)
    guard = Guard(products, usual, trial, outcome.quality, outcome.error, settings.max_drop, embeddings)
    found = guard.run(graph, out)
    return {**made, "guard": found}


def quantized(
    parts: Int8Parts, rows: list[Encoded], tables: bool, leave: Collection[str], folder: Path
) -> dict[str, Json]:
    """Write one INT8 model, and return the settings that nncf used; see `quantize_openvino`."""
    calibration = Calibration(rows, parts.settings.calibration)
    options = NncfOptions(parts.settings.smooth, leave, tables, parts.choice.reduce_range)
    return quantize_openvino(parts.graph, calibration, graph_inputs(parts.graph), folder, options)


def open_openvino(folder: Path, choice: ExportChoice, max_length: int) -> Session:
    """Open an OpenVINO model on this machine's CPU, compiled for the profile's lengths up to the longest input."""
    return OpenVinoSession(folder / "model.xml", 2, bucket_lengths(choice.length_buckets, max_length))
