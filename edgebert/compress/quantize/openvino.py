"""INT8 OpenVINO models by nncf. The only file that calls it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from edgebert.exporters.openvino import read_graph, save_ir
from edgebert.runtime.encode import Encoded
from edgebert.runtime.model import padded_inputs


def quantize_openvino(graph: Path, rows: Sequence[Encoded], names: Sequence[str], out: Path) -> None:
    """Quantize an FP32 ONNX graph on real texts, each unpadded, and write IR with INT8 weights and embeddings.

    Args:
        graph: FP32 ONNX graph.
        rows: Encoded calibration texts.
        names: The graph's inputs.
        out: Folder for `model.xml` and `model.bin`.
    """
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    dataset = nncf.Dataset([padded_inputs([row], names) for row in rows])
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars are not our answer
        quantized = nncf.quantize(
            read_graph(graph), dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=len(rows)
        )
    save_ir(quantized, out)
