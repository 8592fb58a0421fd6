"""The stage that converts a graph to FP16, for GPUs and CPUs that compute in it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx

from edgebert.compress.report import StageReport
from edgebert.cpu import measured_on
from edgebert.errors import RunError
from edgebert.exporters.graphs import CPU, GRAPH, GraphJob, compare_graph, outputs_of, quality_of, tuned_head
from edgebert.exporters.mixed import emulated, to_fp16
from edgebert.exporters.onnx import graph_inputs
from edgebert.exporters.overflow import LIMIT, Overflow, find_overflow, lower_masks
from edgebert.exporters.packed import pack_attention
from edgebert.exporters.parity import relative_error
from edgebert.exporters.writers import writers
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs, padded_to_bucket
from edgebert.runtime.session import CUDA, Ids
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.strict_json import Json, as_json

LOG = logging.getLogger(__name__)

VERSION = 7
# Limit relative to the outputs' squares. For MiniLM with an untrained head, rounding every value gives 1.9e-6; a model
# that does not fit FP16 gives NaN or completely different numbers.
MAX_ERROR = 1e-5
EMULATED = ".emulated.onnx"
BATCH, PADDING = 8, 8


def fp16_graph(job: GraphJob, graph: Path, provider: str, out: Path) -> StageReport:
    """Write an FP16 ONNX graph whose inputs and outputs keep their types.

    Nodes with values beyond a quarter of FP16's range stay in FP32. Errors and quality are those of an emulated GPU,
    which rounds every value (`exporters.mixed.emulated`): ONNX Runtime on a CPU would compute the graph in FP32.

    Args:
        job: The model and its texts.
        graph: Folder of its full-precision graph.
        provider: ONNX Runtime's execution provider to write for; CUDA gets packed attention.
        out: Folder for `model.onnx`.

    Raises:
        RunError: The FP16 graph still differs too much from full precision.
    """
    model, names, windows = onnx.load(graph / GRAPH), graph_inputs(graph / GRAPH), job.parity_windows()
    lower_masks(model)
    overflow = find_overflow(model, _padded_batches(job, names, windows))
    # Other runtimes do not read packed attention correctly; they run on the CPU of the GPU's machine.
    if provider == CUDA and (others := writers(job.settings.formats)):
        onnx.save(to_fp16(model, overflow.nodes), out / GRAPH)
        for write in filter(None, (writer.write for writer in others)):
            write(out / GRAPH, out)
    if provider == CUDA:
        pack_attention(model, overflow.nodes)
    half = to_fp16(model, overflow.nodes)
    onnx.save(half, out / GRAPH)
    onnx.save(emulated(half), out / EMULATED)
    session, full = OnnxSession(out / EMULATED, 2, CPU), OnnxSession(graph / GRAPH, 2, CPU)
    _check_error(job, names, windows, full, session)
    metrics = _fp32_metrics(overflow, len(model.graph.node))
    metrics["agreement"] = asdict(compare_graph(job, session, names, windows, job.reference(windows)))
    metrics["head"] = tuned = tuned_head(job, session, names)
    metrics["quality"] = as_json(quality_of(job, session, names, tuned))
    metrics["measured_on"] = measured_on()
    (out / EMULATED).unlink()
    return StageReport("fp16", {"inputs": names}, metrics)


def _padded_batches(job: GraphJob, names: list[str], windows: list[Encoded]) -> Iterator[dict[str, Ids]]:
    """Make batches with padding after every text.

    A GPU computes padded rows too, and one that overflows spoils others.
    """
    for at in range(0, len(windows), BATCH):
        batch = padded_inputs(windows[at : at + BATCH], names, job.pad_id)
        yield padded_to_bucket(batch, [min(batch["input_ids"].shape[1] + PADDING, job.run.max_length)])


def _check_error(
    job: GraphJob, names: list[str], windows: list[Encoded], full: OnnxSession, session: OnnxSession
) -> None:
    """Refuse a graph that differs from full precision, alone or in padded batches."""
    errors = [
        relative_error(*(outputs_of(job, each, names, windows, size) for each in (full, session))) for size in (1, 8)
    ]
    error = float(np.max(errors))
    if not error <= MAX_ERROR:
        raise RunError(
            f"in FP16 the squared error of the outputs is {error:.2g} of their squares (at most {MAX_ERROR:.0e} is "
            f"allowed): values "
            'inside the model are too large or too small for it; set quantize.format = "none" for FP32, or static or '
            "dynamic for INT8"
        )


def _fp32_metrics(overflow: Overflow, nodes: int) -> dict[str, Json]:
    """Report the nodes that stay in FP32 and why; if there are any, log it too."""
    peaks = {name: float(f"{peak:.3g}") for name, peak in overflow.peaks.items()}
    if overflow.nodes:
        LOG.info(
            "fp16: %d of %d operators stay in FP32: %d values in them are larger than %.0f, up to %.3g, "
            "and FP16 ends at 65504",
            *(len(overflow.nodes), nodes, len(peaks), LIMIT, max(peaks.values())),
        )
    return {"operators_in_fp32": len(overflow.nodes), "fp32": {"operators": sorted(overflow.nodes), "peaks": peaks}}
