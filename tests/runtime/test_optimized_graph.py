"""The graphs that ONNX Runtime makes of ours on a CPU: it does not report options that it does not know."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from edgebert.compress import checkpoint
from edgebert.exporters.onnx import fast_module
from edgebert.exporters.quantize.calibration import Calibration
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.static import quantize_static
from edgebert.exporters.unpadded import UNPADDED, write_unpadded
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import CPU
from edgebert.runtime.sessions import onnxruntime as sessions
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession, UnpaddedSession
from edgebert.target import profile_names, read_target
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

pytestmark = pytest.mark.int8

INTEGER = "MatMulIntegerToFloat"


@pytest.fixture
def optimized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The graph that one of our sessions runs: made from a graph, the kind of session and its options."""
    path = tmp_path / "optimized.onnx"

    class Noted(onnxruntime.SessionOptions):
        def __init__(self) -> None:
            super().__init__()
            self.optimized_model_filepath = str(path)

    monkeypatch.setattr(onnxruntime, "SessionOptions", Noted)

    def run(graph: Path, kind: type[OnnxSession] = OnnxSession, **more: Any) -> onnx.ModelProto:
        kind(graph, 1, CPU, OnnxOptions(**more))
        return onnx.load(path, load_external_data=False)

    return run


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.fixture
def dynamic(classifier_graph: Path, tmp_path: Path) -> Path:
    """Dynamic INT8: our only form in which ONNX Runtime can use the slow fusion."""
    quantize_weights(classifier_graph, read_target("x86-avx512-vnni").export, tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_no_slow_fusion_is_left(optimized: Any, dynamic: Path) -> None:
    assert write_unpadded(dynamic, dynamic.with_name(UNPADDED))
    for graph, kind in ((dynamic, OnnxSession), (dynamic.with_name(UNPADDED), UnpaddedSession)):
        found = operators(optimized(graph, kind))
        assert (found.count("LayerNormalization"), found.count("SkipLayerNormalization")) == (7, 0)
    assert operators(optimized(dynamic, fuse_everything=True)).count("SkipLayerNormalization") == 4


def test_a_misspelt_optimizer_would_be_seen(optimized: Any, dynamic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SLOW_ON_CPU", ["SkipLayerNormalizationFusion"])
    assert "SkipLayerNormalization" in operators(optimized(dynamic))


def float_products(model: onnx.ModelProto) -> list[str]:
    """Matmuls of FP32 activations with weights, including weights after a DequantizeLinear."""
    known = {tensor.name for tensor in model.graph.initializer if tensor.data_type != TensorProto.INT64}
    constant = known | {
        name
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in known
        for name in node.output
    }
    products = [node for node in model.graph.node if node.op_type in ("MatMul", "Gemm", "FusedMatMul", "FusedGemm")]
    return [node.name for node in products if constant.intersection(node.input[:2])]


def activation_types(profiles: Iterable[str]) -> set[str]:
    return {read_target(name).export.activation_type for name in profiles}


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["x86-avx2", "nvidia-t4"])
def test_static_int8_has_no_float_product_with_weights(
    profile: str, optimized: Any, classifier_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert activation_types(["x86-avx2", "nvidia-t4"]) == activation_types(profile_names())
    random = np.random.default_rng(0)
    rows = [Encoded([2, *random.integers(5, 40, n).tolist(), 3], [0] * (n + 2)) for n in [4, 9, 20, 28] * 2]
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    choice, path = replace(read_target(profile).export, format="static"), tmp_path / "static.onnx"
    quantize_static(fast_module(model, TRAINING, 1, 32), Calibration(rows), ["logits"], 32, choice, path)
    found = optimized(path)
    assert float_products(found) == []
    # Six per layer, the pooler and the head.
    assert operators(found).count(INTEGER) == 3 * 6 + 2
    signed = choice.activation_type == "int8"
    monkeypatch.setattr(sessions, "SIGNED_INT8", ("session.qdqisint8allowed", "0"))
    assert len(float_products(optimized(path))) == (8 if signed else 0)
