#!/usr/bin/env bash
# ONNX Runtime runs a static INT8 matmul in FP32 if a bias follows it and its input has two dimensions.
#
# QuantizeLinear, DequantizeLinear and MatMul with INT8 weights become MatMulIntegerToFloat. But if a bias (Add)
# follows, and the input has two dimensions, or three dimensions with fixed sizes, an earlier fusion makes one FP32 Gemm
# of MatMul and Add, and the weights are dequantized. With three dimensions of dynamic size, the matmul stays in
# integers.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64.
# Seen:
#   two dimensions: without a bias MatMulIntegerToFloat, with one Gemm; three fixed ones: MatMulIntegerToFloat,
#   Gemm; three free ones: MatMulIntegerToFloat, MatMulIntegerToFloat
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

onnxruntime.set_default_logger_severity(3)
random = np.random.default_rng(0)


def products(shape, count, kind, bias):
    """Products with INT8 weights of one quantized value, as ONNX Runtime runs them."""
    known = {"xs": np.float32(0.02), "xz": kind(0), "ws": np.float32(0.01), "wz": np.int8(0), "one": np.ones(4, np.float32)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", "xs", "xz"], ["dequantized"]),
    ]
    for at in range(count):
        known[f"w{at}"] = random.integers(-127, 127, (8, 4)).astype(np.int8)
        nodes.append(helper.make_node("DequantizeLinear", [f"w{at}", "ws", "wz"], [f"weights{at}"]))
        made = f"product{at}" if bias else f"y{at}"
        nodes.append(helper.make_node("MatMul", ["dequantized", f"weights{at}"], [made]))
        if bias:
            nodes.append(helper.make_node("Add", [made, "one"], [f"y{at}"]))
    read = {name for node in nodes for name in node.input}
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in known.items() if name in read]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    ys = [helper.make_tensor_value_info(f"y{at}", TensorProto.FLOAT, [*shape[:-1], 4]) for at in range(count)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], ys, tensors), opset_imports=[helper.make_opsetid("", 20)], ir_version=10
    )
    onnx.checker.check_model(model, full_check=True)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = "optimized.onnx", 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = ("MatMul", "Gemm", "MatMulIntegerToFloat", "QGemm", "QLinearMatMul")
    return [node.op_type for node in onnx.load("optimized.onnx").graph.node if node.op_type in kinds]


found = [products(shape, 1, np.uint8, bias) for shape in ([2, 8], [1, 2, 8], ["b", "n", 8]) for bias in (False, True)]
print(*found)
integer, full = ["MatMulIntegerToFloat"], ["Gemm"]
raise SystemExit(found != [integer, full, integer, full, integer, integer])
PROGRAM
