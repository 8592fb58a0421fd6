"""INT8 OpenVINO models by nncf. The only file that calls it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgebert.exporters.openvino import read_graph, save_ir
from edgebert.runtime.encode import Encoded
from edgebert.runtime.model import padded_inputs

METHODS = {
    "minmax": "mean of each text's extremes",
    "percentile": "mean of each text's 99.99% quantiles",
    "mse": "least squares over a histogram",
    "entropy": "mean of each text's extremes",
}


def quantize_openvino(
    graph: Path,
    rows: Sequence[Encoded],
    names: Sequence[str],
    out: Path,
    calibration: str = "minmax",
    smooth: float = 0.0,
) -> dict[str, Any]:
    """Quantize an FP32 ONNX graph on real texts, each unpadded, and write IR with INT8 weights and embeddings.

    nncf smooths by itself: with its own alpha, 0.95, where `smooth` is 0. It has nothing like calibration by entropy;
    its mean of extremes stands in for that.

    Args:
        graph: FP32 ONNX graph.
        rows: Encoded calibration texts.
        names: The graph's inputs.
        out: Folder for `model.xml` and `model.bin`.
        calibration: `minmax`, `percentile`, `entropy` or `mse`.
        smooth: SmoothQuant's alpha.

    Returns:
        For the manifest: what nncf was told of `calibration` and `smooth`.
    """
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    dataset = nncf.Dataset([padded_inputs([row], names) for row in rows])
    parameters = _parameters(calibration, smooth)
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars are not our answer
        quantized = nncf.quantize(
            read_graph(graph),
            dataset,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(rows),
            advanced_parameters=parameters,
        )
    save_ir(quantized, out)
    return {"calibration": METHODS[calibration], "smooth": parameters.smooth_quant_alphas.matmul}


def _parameters(calibration: str, smooth: float) -> Any:  # noqa: ANN401
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, AdvancedSmoothQuantParameters
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    estimators = {
        "percentile": RangeEstimatorParametersSet.MEAN_QUANTILE,
        "mse": RangeEstimatorParametersSet.HISTOGRAM,
    }
    alphas = AdvancedSmoothQuantParameters(matmul=smooth) if smooth else AdvancedSmoothQuantParameters()
    return AdvancedQuantizationParameters(
        activations_range_estimator_params=estimators.get(calibration), smooth_quant_alphas=alphas
    )
