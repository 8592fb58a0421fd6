"""INT8 OpenVINO models by nncf. The only file that calls it."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import onnx

from edgebert.exporters.openvino import read_graph, save_ir
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.graph import load_folded
from edgebert.exporters.quantize.products import weight_products
from edgebert.runtime.padded import padded_inputs
from edgebert.strict_json import Json

if TYPE_CHECKING:
    import openvino
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters

PRODUCTS = ("MatMul", "ScaledDotProductAttention")
METHODS = {
    "minmax": "mean of each text's extremes",
    "percentile": "mean of each text's 99.99% quantiles",
    "mse": "least squares over a histogram",
    "entropy": "mean of each text's extremes",
}


def openvino_products(graph: Path) -> dict[str, str]:
    """Every matrix product that nncf quantizes, attention's own and the head's too, and what a reader may call it."""
    told = weight_products(load_folded(graph))
    names = [str(each.get_friendly_name()) for each in _operators(read_named(graph), *PRODUCTS)]
    return {name: told.get(name, name.partition("/")[0]) for name in names}


def read_named(graph: Path) -> openvino.Model:
    """Read an ONNX graph as an OpenVINO model whose operators keep their names when it is copied, as nncf does.

    OpenVINO's front end names an operator after its ONNX node, with more behind a slash where a node becomes several,
    or not at all: then its name is a counter of the process, another one in every copy.
    """
    model = read_graph(graph)
    told = {str(node.name) for node in onnx.load(graph, load_external_data=False).graph.node}
    for number, operator in enumerate(model.get_ordered_ops()):
        name, kind = str(operator.get_friendly_name()), operator.get_type_name()
        if kind not in ("Parameter", "Result") and name.partition("/")[0] not in told:
            operator.set_friendly_name(f"{kind}.{number}")
    return model


def _operators(model: openvino.Model, *kinds: str) -> list[openvino.Node]:
    return [each for each in model.get_ordered_ops() if each.get_type_name() in kinds]


@dataclass(frozen=True)
class NncfOptions:
    """What nncf is to do.

    Attributes:
        smooth: SmoothQuant's alpha.
        leave: Products, as `openvino_products` names them, that stay in full precision.
        embeddings: Whether tables are INT8 too.
        reduce_range: Whether matrices have seven bits, so that sums do not saturate on x86 without VNNI.
    """

    smooth: float = 0.0
    leave: Collection[str] = ()
    embeddings: bool = True
    reduce_range: bool = False


USUAL = NncfOptions()


def quantize_openvino(
    graph: Path, calibration: Calibration, names: Sequence[str], out: Path, options: NncfOptions = USUAL
) -> dict[str, Json]:
    """Quantize an FP32 ONNX graph on real texts, each unpadded, and write IR with INT8 weights.

    nncf smooths by itself: with its own alpha, 0.95, where `smooth` is 0. It has nothing like calibration by entropy;
    its mean of extremes stands in for that.

    Args:
        graph: FP32 ONNX graph.
        calibration: Encoded texts, and the method.
        names: The graph's inputs.
        out: Folder for `model.xml` and `model.bin`.
        options: Smoothing, what is left in full precision, and the range.

    Returns:
        For the manifest: what nncf was told of `calibration` and `smooth`, and `reduce_range`.
    """
    import nncf

    logging.getLogger("nncf").setLevel(logging.ERROR)
    dataset = nncf.Dataset([padded_inputs([row], names) for row in calibration.rows])
    parameters = _parameters(calibration.method, options.smooth, options.reduce_range)
    model = read_named(graph)
    tables = [] if options.embeddings else [str(each.get_friendly_name()) for each in _operators(model, "Gather")]
    ignored = nncf.IgnoredScope(names=[*options.leave, *tables])
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars are not our answer
        quantized = nncf.quantize(
            model,
            dataset,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(calibration.rows),
            ignored_scope=ignored,
            advanced_parameters=parameters,
        )
    save_ir(quantized, out)
    alpha = parameters.smooth_quant_alphas.matmul
    return {"calibration": METHODS[calibration.method], "smooth": alpha, "reduce_range": options.reduce_range}


def _parameters(calibration: str, smooth: float, reduce_range: bool) -> AdvancedQuantizationParameters:
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        AdvancedSmoothQuantParameters,
        OverflowFix,
    )
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    estimators = {
        "percentile": RangeEstimatorParametersSet.MEAN_QUANTILE,
        "mse": RangeEstimatorParametersSet.HISTOGRAM,
    }
    alphas = AdvancedSmoothQuantParameters(matmul=smooth) if smooth else AdvancedSmoothQuantParameters()
    # nncf's own choice halves the range of the first convolutions alone: all of a BERT's matrices keep eight bits.
    return AdvancedQuantizationParameters(
        overflow_fix=OverflowFix.ENABLE if reduce_range else OverflowFix.DISABLE,
        activations_range_estimator_params=estimators.get(calibration),
        smooth_quant_alphas=alphas,
    )
