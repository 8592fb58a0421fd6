"""Write an ONNX graph as OpenVINO IR: the only file of the exporters that calls openvino."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino


def read_graph(graph: Path) -> Any:  # noqa: ANN401
    """Read an ONNX graph as an OpenVINO model."""
    return openvino.Core().read_model(str(graph))


def save_ir(model: Any, out: Path) -> None:  # noqa: ANN401
    """Write `model.xml` and `model.bin` into a folder, weights as they are, the same bytes for the same model."""
    out.mkdir(parents=True, exist_ok=True)
    # OpenVINO names what it makes after a counter of the process; inputs and outputs keep the names of the graph.
    for number, operator in enumerate(model.get_ordered_ops()):
        if operator.get_type_name() not in ("Parameter", "Result"):
            operator.set_friendly_name(f"{operator.get_type_name()}_{number}")
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)
