#!/usr/bin/env bash
# OpenVINO 2025.0.0 on a CPU with AVX-512 VNNI: a matmul with INT8 weights (DequantizeLinear and MatMul in ONNX) has
# wrong values in its last 14 columns if it has 30 or 62 columns. 2025.1.0 is correct. The error occurs with one scale
# for all weights and with one scale per column. With 2, 33, 64, 100 and 1153 columns the values were correct.
#
# Versions: openvino 2025.0.0 and 2025.1.0, onnx 1.19.0, numpy 1.26.4, Python 3.11; AMD Zen 4. Without AVX-512 VNNI
#           another kernel runs, and the script prints that it cannot test this.
# Input:    values of 1 x 7 x 32, INT8 weights of 32 x 62 with one scale, 0.01.
# Seen:     2025.0.0: largest error 14.90, columns off by more than 1: 48 to 61 (14 of 62)
#           2025.1.0: largest error 0.07, columns off by more than 1: none
# Exit code: 0 while 2025.0.0 is wrong and 2025.1.0 is right, 1 otherwise; 0 with a note without AVX-512 VNNI.
set -euo pipefail
if ! grep -q avx512_vnni /proc/cpuinfo; then
    echo "this CPU has no AVX-512 VNNI: nothing to see here"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/multiply.py" <<'PYTHON'
import sys

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

ROWS, COLUMNS, SCALE = 32, 62, np.float32(0.01)
random = np.random.default_rng(0)
weights = random.integers(-127, 128, (ROWS, COLUMNS)).astype(np.int8)
values = random.standard_normal((1, 7, ROWS), dtype=np.float32)
graph = helper.make_graph(
    [
        helper.make_node("DequantizeLinear", ["weights", "scale"], ["wide"]),
        helper.make_node("MatMul", ["values", "wide"], ["out"]),
    ],
    "g",
    [helper.make_tensor_value_info("values", TensorProto.FLOAT, [1, "length", ROWS])],
    [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, "length", COLUMNS])],
    [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.array(SCALE), "scale")],
)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), sys.argv[1])
core = openvino.Core()
settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
found = core.compile_model(core.read_model(sys.argv[1]), "CPU", settings)([values])[0]
errors = np.abs(found - values @ (weights * SCALE)).max(axis=(0, 1))
wrong = np.flatnonzero(errors > 1)
named = f"{wrong[0]} to {wrong[-1]} ({len(wrong)} of {COLUMNS})" if len(wrong) else "none"
version = openvino.__version__.split("-")[0]
print(f"openvino {version}: largest error {errors.max():.2f}, columns off by more than 1: {named}")
sys.exit(0 if bool(len(wrong)) == (sys.argv[2] == "wrong") else 1)
PYTHON
python3.11 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip openvino==2025.0.0 onnx==1.19.0 numpy==1.26.4
"$folder/venv/bin/python" "$folder/multiply.py" "$folder/m.onnx" wrong
$pip openvino==2025.1.0
"$folder/venv/bin/python" "$folder/multiply.py" "$folder/m.onnx" right
