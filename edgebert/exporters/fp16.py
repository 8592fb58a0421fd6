"""The stage that halves a graph's weights and arithmetic to FP16, for GPUs and cores that compute in it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from edgebert.compress.report import StageReport
from edgebert.errors import RunError
from edgebert.exporters.graphs import (
    CPU,
    GRAPH,
    GraphJob,
    compare_graph,
    outputs_of,
    quality_of,
    tuned_head,
    write_openvino,
)
from edgebert.exporters.onnx import graph_inputs
from edgebert.exporters.packed import pack_attention
from edgebert.exporters.parity import relative_error
from edgebert.runtime.session import CUDA, OnnxSession

VERSION = 3
# Of the outputs' squares. MiniLM fine-tuned on SST-2 or SQuAD loses 2e-7 to rounding; a model that outgrows FP16 gives
# no numbers, or others altogether.
MOST_ERROR = 1e-5


def fp16_graph(job: GraphJob, graph: Path, provider: str, out: Path) -> StageReport:
    """FP16 ONNX graph whose inputs and outputs keep their types.

    Compared and scored on this machine's CPU, where ONNX Runtime casts back what it has no FP16 kernel for.

    Args:
        job: The model and its texts.
        graph: Folder of its full-precision graph.
        provider: ONNX Runtime's execution provider that it is for; CUDA gets packed attention.
        out: Folder for `model.onnx`.

    Raises:
        RunError: A value inside the model is too large for FP16.
    """
    model = onnx.load(graph / GRAPH)
    if provider == CUDA:
        # OpenVINO, which reads no packed attention rightly, runs on the CPU beside that GPU.
        if "openvino" in job.settings.formats:
            onnx.save(halved(onnx.load(graph / GRAPH)), out / GRAPH)
            write_openvino(out / GRAPH, out / "openvino")
        pack_attention(model)
    onnx.save(halved(model), out / GRAPH)
    names, windows = graph_inputs(out / GRAPH), job.parity_windows()
    session, full = OnnxSession(out / GRAPH, 2, CPU), OnnxSession(graph / GRAPH, 2, CPU)
    errors = [
        relative_error(*(outputs_of(job, each, names, windows, size) for each in (full, session))) for size in (1, 8)
    ]
    error = float(np.max(errors))
    if not error <= MOST_ERROR:
        raise RunError(
            f"in FP16 the outputs are off by {error:.2g} of their squares, so a value inside the model is larger than "
            'its 65504; set quantize.format = "none" for FP32, or static or dynamic for INT8'
        )
    metrics: dict[str, Any] = {"agreement": asdict(compare_graph(job, session, names, windows, job.reference(windows)))}
    metrics["head"] = tuned = tuned_head(job, session, names)
    metrics["quality"] = quality_of(job, session, names, tuned)
    return StageReport("fp16", {"inputs": names}, metrics)


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in FP16 by ONNX Runtime's own converter. The only function that calls it."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    result: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True)
    return result
