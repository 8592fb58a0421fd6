"""Write an ONNX graph as OpenVINO IR; the only file of the exporters that calls openvino."""

from __future__ import annotations

from pathlib import Path

import openvino


def read_graph(graph: Path) -> openvino.Model:
    """Read an ONNX graph as an OpenVINO model that shares no node with other models of the process.

    OpenVINO's ONNX reader puts one shared constant into every MultiHeadAttention. The constant lists its consumers in
    all living models, and nncf fails at a consumer outside the model that it quantizes. A clone has its own constants.
    """
    return openvino.Core().read_model(str(graph)).clone()


def save_ir(model: openvino.Model, out: Path) -> None:
    """Write `model.xml` and `model.bin` without compressing weights; equal models give equal bytes."""
    out.mkdir(parents=True, exist_ok=True)
    # OpenVINO names nodes with a process-wide counter; inputs and outputs keep the graph's names.
    for number, operator in enumerate(model.get_ordered_ops()):
        if operator.get_type_name() not in ("Parameter", "Result"):
            operator.set_friendly_name(f"{operator.get_type_name()}_{number}")
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)
