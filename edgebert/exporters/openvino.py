"""Write an ONNX graph as OpenVINO IR: the only file of the exporters that calls openvino."""

from __future__ import annotations

from pathlib import Path

import openvino


def read_graph(graph: Path) -> openvino.Model:
    """Read an ONNX graph as an OpenVINO model that shares no operator with any other model of the process.

    OpenVINO's ONNX reader puts one and the same constant into every MultiHeadAttention that it reads. The constant
    lists its readers in all living models, and nncf fails at a reader outside the model that it quantizes. A clone has
    constants of its own.
    """
    return openvino.Core().read_model(str(graph)).clone()


def save_ir(model: openvino.Model, out: Path) -> None:
    """Write `model.xml` and `model.bin` into a folder, weights as they are, the same bytes for the same model."""
    out.mkdir(parents=True, exist_ok=True)
    # OpenVINO names what it makes after a counter of the process; inputs and outputs keep the names of the graph.
    for number, operator in enumerate(model.get_ordered_ops()):
        if operator.get_type_name() not in ("Parameter", "Result"):
            operator.set_friendly_name(f"{operator.get_type_name()}_{number}")
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)
