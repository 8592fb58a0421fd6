"""Write an ONNX graph as OpenVINO IR: the only file of the exporters that calls openvino."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openvino


def read_graph(graph: Path) -> Any:  # noqa: ANN401
    """Read an ONNX graph as an OpenVINO model."""
    return openvino.Core().read_model(str(graph))


def save_ir(model: Any, out: Path) -> None:  # noqa: ANN401
    """Write `model.xml` and `model.bin` into a folder, weights as they are."""
    out.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, str(out / "model.xml"), compress_to_fp16=False)
