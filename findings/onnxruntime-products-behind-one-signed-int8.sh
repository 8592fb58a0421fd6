#!/usr/bin/env bash
# ONNX Runtime on x86: if several static INT8 matmuls read one signed tensor, they run in FP32. If the tensor is
# unsigned, they run in integers.
#
# The matmuls of queries, keys and values read one quantized tensor. If it is uint8, all become MatMulIntegerToFloat. If
# it is int8, this is so for a single matmul, but two or three stay FP32 matmuls of dequantized values. With the session
# option session.qdqisint8allowed = 1 they run in integers. We ran this only on x86.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64.
# Seen:
#   uint8: 1 and 3 products MatMulIntegerToFloat; int8: 1 MatMulIntegerToFloat, 2 and 3 MatMul
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


free = ["b", "n", 8]
found = {(kind.__name__, count): products(free, count, kind, False) for kind in (np.uint8, np.int8) for count in (1, 2, 3)}
print(found)
integer, full = ["MatMulIntegerToFloat"], ["MatMul"]
expected = [integer * 1, integer * 2, integer * 3, integer * 1, full * 2, full * 3]
raise SystemExit(list(found.values()) != expected)
PROGRAM
