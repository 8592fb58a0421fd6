"""The stage that makes INT8 graphs from a full-precision one, guards their quality, and compares them with PyTorch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import onnx

from edgebert.compress import checkpoint
from edgebert.compress.memory import give_back
from edgebert.compress.report import StageReport
from edgebert.cpu import measured_on
from edgebert.exporters.graphs import GRAPH, GraphJob, compare_graph, outputs_of, quality_of, tuned_head
from edgebert.exporters.guarded import Outcome, open_as_bundle, open_onnx
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.onnx import PlainModel, export_module, graph_inputs
from edgebert.exporters.parity import require_parity, require_same
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.embeddings import quantize_embeddings
from edgebert.exporters.quantize.graph import load_folded
from edgebert.exporters.quantize.guard import Guard
from edgebert.exporters.quantize.products import head_matmuls, release, weight_products
from edgebert.exporters.quantize.weights import quantize_weights_alone
from edgebert.exporters.writers import Int8Parts, writers
from edgebert.recipe import QuantizeSettings, settings_dict
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Outputs, Session, bucket_lengths
from edgebert.strict_json import Json, as_json
from edgebert.target import ExportChoice

LOG = logging.getLogger(__name__)

VERSION = 13
CALIBRATED, SMOOTHED = ".calibrated.onnx", ".smoothed.onnx"
Make = Callable[..., None]


def quantized_graph(
    job: GraphJob, graph: Path, settings: QuantizeSettings, form: str, choice: ExportChoice, out: Path
) -> StageReport:
    """Write INT8 graphs: ONNX dynamic, static or weight-only, and those of other runtimes that the recipe asks for.

    For weight-only INT8, other runtimes get the ONNX graph as it is, when the bundle is written.

    Args:
        job: The model and its texts.
        graph: Folder of its full-precision graph.
        settings: The recipe's `[quantize]` table.
        form: `dynamic`, `static` or `weights`.
        choice: The profile's types and granularity.
        out: Folder for `model.onnx`, `unpadded.onnx` and the graphs of other runtimes.

    Raises:
        RunError: `settings.max_drop` cannot be held.
        ParityError: The smoothed full-precision graph differs from PyTorch, or the graph without a mask differs from
            the one with it.
    """
    calibration, windows = job.calibration_windows(settings.samples), job.parity_windows()
    reference = job.reference(windows)
    job.run.loaded.forget_models()
    metrics: dict[str, Json] = {}
    full = graph / GRAPH
    module: InferenceModel | PlainModel | None = None
    if settings.smooth:
        full = out / SMOOTHED
        module, done = _smoothed(job, calibration, settings.smooth, full)
        parity = compare_graph(job, open_onnx(full), graph_inputs(full), windows, reference)
        require_parity(parity, "smoothed graph")
        metrics["smoothing"] = {**done, "parity": asdict(parity)}
    elif form == "static":
        module = job.module()
    as_bundle = partial(open_as_bundle, weights_alone=form == "weights")
    open_graph = as_bundle if "onnx" in job.settings.formats else open_onnx
    parts = Int8Parts(job, full, calibration, settings, choice)
    make = weights_maker(parts) if form == "weights" else graph_maker(parts, module if form == "static" else None, out)
    if settings.max_drop is None:
        make((), out / GRAPH)
    else:
        outcome = Outcome(job, full, open_graph)
        products, tables = guarded_products(load_folded(full), form), settings.embeddings == "int8"
        trial = partial(make, embeddings="fp32")
        guard = Guard(products, make, trial, outcome.quality, outcome.error, settings.max_drop, tables)
        metrics["guard"] = guard.run(full, out / GRAPH)
    for name in (CALIBRATED, SMOOTHED):
        (out / name).unlink(missing_ok=True)
    names = graph_inputs(out / GRAPH)
    tuned, judged = _judged(job, open_graph, windows, reference, out)
    metrics |= judged
    give_back((graph / GRAPH).stat().st_size)  # of sessions, each of which holds the weights
    parts = replace(parts, graph=graph / GRAPH, tuned=tuned)
    if form != "weights":
        metrics |= _of_other_runtimes(parts, names, windows, reference, out)
    metrics["measured_on"] = measured_on()
    arguments = {**settings_dict(settings), "format": form, "inputs": names, "profile": settings_dict(choice)}
    return StageReport("quantize", arguments, metrics)


def _judged(
    job: GraphJob, open_graph: Callable[[Path], Session], windows: list[Encoded], reference: list[Outputs], out: Path
) -> tuple[dict[str, Json], dict[str, Json]]:
    """Compare the ONNX graph with PyTorch, and with itself without a mask, and score it.

    Returns:
        What the task chose on the validation split, and all values for the manifest.

    Raises:
        ParityError: The graph without a mask differs from the one with it.
    """
    names, with_mask, session = graph_inputs(out / GRAPH), open_onnx(out / GRAPH), open_graph(out / GRAPH)
    found: dict[str, Json] = {"agreement": asdict(compare_graph(job, with_mask, names, windows, reference))}
    if not session.batching.pads:
        found["unpadded"] = asdict(compare_graph(job, session, names, windows, reference, batch_sizes=(1,)))
        alone = [outputs_of(job, each, names, windows) for each in (with_mask, session)]
        require_same(reference, *alone)
    tuned = tuned_head(job, session, names)
    return tuned, {**found, "head": tuned, "quality": as_json(quality_of(job, session, names, tuned))}


def _of_other_runtimes(
    parts: Int8Parts, names: list[str], windows: list[Encoded], reference: list[Outputs], out: Path
) -> dict[str, Json]:
    """Write the INT8 graphs of other runtimes; return the manifest's values by the runtime's name."""
    job = parts.job
    found: dict[str, Json] = {}
    for writer in writers(job.settings.formats):
        if writer.write_int8 is not None:
            made = writer.write_int8(parts, out)
            found[writer.runtime.name] = made
            if not (out / writer.runtime.graph).is_file():
                LOG.warning("%s: it has no graph of this model: %s", writer.runtime.name, made["not_covered"])
                continue
            session = writer.open(out, bucket_lengths(parts.choice.length_buckets, job.run.max_length), 2)
            agreement = asdict(compare_graph(job, session, names, windows, reference))
            quality = as_json(quality_of(job, session, names, parts.tuned))
            found[writer.runtime.name] = {**made, "agreement": agreement, "quality": quality}
    return found


def _smoothed(job: GraphJob, rows: list[Encoded], alpha: float, out: Path) -> tuple[InferenceModel, dict[str, Json]]:
    """The module with outliers moved into its weights, its full-precision graph, and a report of the changes."""
    from edgebert.exporters.quantize.smooth import smooth_module

    module = job.module()
    assert isinstance(module, InferenceModel), "refused by compress.fit before anything ran"
    done = smooth_module(module, rows, alpha)
    export_module(module, list(job.task().spec.outputs), checkpoint.load_config(job.model), job.run.max_length, out)
    return module, done


def graph_maker(parts: Int8Parts, module: InferenceModel | PlainModel | None, folder: Path) -> Make:
    """Return `make(leave, out)`, which writes an INT8 graph but leaves some matrix products in full precision.

    It is static if there is a module to calibrate, else dynamic. `make(..., embeddings="fp32")` leaves the tables in
    FP32.
    """
    if module is not None:
        from edgebert.exporters.quantize.static import quantize_static

        outputs, max_length = list(parts.job.task().spec.outputs), parts.job.run.max_length
        calibration = Calibration(parts.calibration, parts.settings.calibration)
        quantize_static(module, calibration, outputs, max_length, parts.choice, folder / CALIBRATED)

    def make(leave: Collection[str], out: Path, embeddings: str = parts.settings.embeddings) -> None:
        if module is not None:
            model = onnx.load(folder / CALIBRATED)
            release(model, load_folded(parts.graph), leave)
        else:
            quantize_weights(parts.graph, parts.choice, out, leave)
            model = onnx.load(out)
        if embeddings == "int8":
            quantize_embeddings(model)
        onnx.save(model, out)

    return make


def weights_maker(parts: Int8Parts) -> Make:
    """As `graph_maker`, for a graph of INT8 weights and FP32 arithmetic."""

    def make(leave: Collection[str], out: Path, embeddings: str = parts.settings.embeddings) -> None:
        model = quantize_weights_alone(parts.graph, leave)
        if embeddings == "int8":
            quantize_embeddings(model)
        onnx.save(model, out)

    return make


def guarded_products(model: onnx.ModelProto, form: str) -> dict[str, str]:
    """Matrix products that the guard may leave in full precision; static INT8 includes those of the heads."""
    heads = head_matmuls(model) if form == "static" else []
    return {**weight_products(model), **{name: name for name in heads}}
