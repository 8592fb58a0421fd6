#!/usr/bin/env bash
# ONNX Runtime on a CPU computes an FP16 graph in FP32: a value that overflows FP16 stays finite.
#
# 90 * 1000 = 90,000 is above FP16's largest number, 65504. The graph here computes this value in FP16 and then divides
# it by 1000. With FP16 arithmetic, the value is infinite. For this CPU, ONNX Runtime has no FP16 kernel of MatMul. It
# adds casts around each node and removes those between two nodes, even with all optimizations disabled. The answer is
# then about 90. The value is infinite only if it is an output of the graph itself. Therefore a comparison of outputs on
# a CPU does not show the overflow.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64.
# Seen:
#   without optimizations 90.036, with all of them 90.036, the tensor as an output inf
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
weights = [numpy_helper.from_array(np.array([[value]], np.float16), name) for name, value in (("w", 1000), ("v", 1e-3))]
nodes = [
    helper.make_node("Cast", ["x"], ["half"], to=TensorProto.FLOAT16),
    helper.make_node("MatMul", ["half", "w"], ["large"]),
    helper.make_node("MatMul", ["large", "v"], ["small"]),
    helper.make_node("Cast", ["small"], ["y"], to=TensorProto.FLOAT),
]
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1]) for name in "xy")
graph = helper.make_graph(nodes, "g", [x], [y], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
onnx.checker.check_model(model, full_check=True)


def run(level, output):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return float(session.run([output], {"x": np.array([[90]], np.float32)})[0].item())


levels = onnxruntime.GraphOptimizationLevel
plain, optimized = run(levels.ORT_DISABLE_ALL, "y"), run(levels.ORT_ENABLE_ALL, "y")
model.graph.output.append(helper.make_tensor_value_info("large", TensorProto.FLOAT16, [1, 1]))
large = run(levels.ORT_ENABLE_ALL, "large")
print(f"without optimizations {plain:.3f}, with all of them {optimized:.3f}, the tensor as an output {large}")
raise SystemExit(not (abs(plain - 90) < 0.1 and abs(optimized - 90) < 0.1 and np.isinf(large)))
PROGRAM
