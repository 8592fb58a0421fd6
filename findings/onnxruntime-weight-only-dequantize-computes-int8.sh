#!/usr/bin/env bash
# ONNX Runtime computes a matmul with INT8 weights and FP32 activations in INT8, or dequantizes the weights at every
# run.
#
# A graph with DequantizeLinear of constant INT8 weights before a MatMul defines FP32 arithmetic. 1.32 fuses both into
# MatMulNBits with accuracy_level 4, which rounds the activations to INT8. The error is then ten thousand times larger
# than that of FP32 rounding. With the session option session.disable_quant_qdq = 1 the arithmetic is FP32. MatMulNBits
# with bits = 8 and accuracy_level 1 is FP32 too, but several times slower for few rows. 1.21 has no such fusion: it
# dequantizes the weights at every run, and has no eight-bit MatMulNBits. In both versions, Cast and Mul of the same
# constants are computed only once, when the session opens.
#
# Versions: onnxruntime 1.32.0 and 1.21.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64 (AVX2).
# Seen:
#   1.32.0 DequantizeLinear: MatMulNBits, error 6e-03; with the option: MatMul, 5e-07; Cast and Mul: MatMul, 5e-07
#   1.21.0 DequantizeLinear: DequantizeLinear and MatMul, error 3e-07; Cast and Mul: MatMul, 5e-07
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
for version in 1.32.0 1.21.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "onnxruntime==$version" onnx==1.23.2 numpy==2.4.6
done
cat >"$folder/program.py" <<'PROGRAM'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
random = np.random.default_rng(0)
INNER, COLUMNS = 384, 384
matrix = random.normal(size=(INNER, COLUMNS)).astype(np.float32)
scale = (np.abs(matrix).max(axis=0) / 127).astype(np.float32)
weights = np.rint(matrix / scale).astype(np.int8)
x = random.normal(size=(1, 16, INNER)).astype(np.float32)
right = x.astype(np.float64) @ (weights * scale).astype(np.float64)


def product(form, *settings):
    """Operators of the optimized graph, and the largest error beside the FP32 product, relative to the largest answer."""
    known = {"w": weights, "s": scale}
    if form == "DequantizeLinear":
        nodes = [helper.make_node("DequantizeLinear", ["w", "s"], ["m"], axis=1)]
    else:
        nodes = [
            helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["f", "s"], ["m"]),
        ]
    nodes.append(helper.make_node("MatMul", ["x", "m"], ["y"]))
    values = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "length", INNER]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "length", COLUMNS]),
    ]
    tensors = [numpy_helper.from_array(value, name) for name, value in known.items()]
    graph = helper.make_graph(nodes, "g", values[:1], values[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = "optimized.onnx", 3
    for setting in settings:
        options.add_session_config_entry(setting, "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": x})
    error = float(np.abs(found - right).max() / np.abs(right).max())
    names = sorted(node.op_type for node in onnx.load("optimized.onnx").graph.node)
    print(onnxruntime.__version__, form, *settings, names, f"{error:.1e}")
    return names, error < 1e-5


plain, folded = product("DequantizeLinear"), product("Cast and Mul")
without = product("DequantizeLinear", "session.disable_quant_qdq")
expected = {
    "1.32.0": (["MatMulNBits"], False),
    "1.21.0": (["DequantizeLinear", "MatMul"], True),
}[onnxruntime.__version__]
sys.exit((plain, folded, without) != (expected, (["MatMul"], True), (["MatMul"], True)))
PROGRAM
cd "$folder"
for version in 1.32.0 1.21.0; do "$folder/$version/bin/python" program.py; done
