#!/usr/bin/env bash
# OpenVINO before 2026.3 has no conversion for com.microsoft.MultiHeadAttention: reading an ONNX graph with this operator
# raises an error. OpenVINO 2026.3.0 and ONNX Runtime read and compute it.
#
# Versions: openvino 2026.2.1 and 2026.3.0, onnx 1.19.0, numpy 1.26.4, Python 3.11, x86-64.
# Input:    one MultiHeadAttention node, batch 1, length 4, two heads of 4, no mask.
# Seen:     2026.2.1: RuntimeError: ... OpConversionFailure: Model wasn't fully converted. Summary: -- No conversion rule
#                     found for operations: com.microsoft.MultiHeadAttention
#           2026.3.0: read, largest difference from numpy 1.2e-07
# Exit code: 0 while 2026.2.1 refuses it and 2026.3.0 computes it, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/read.py" <<'PYTHON'
import sys

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper

LENGTH, HEADS, SIZE = 4, 2, 4
shape = [1, LENGTH, HEADS * SIZE]
names = ("query", "key", "value")
inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
node = helper.make_node("MultiHeadAttention", list(names), ["out"], domain="com.microsoft", num_heads=HEADS)
graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)])
opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), sys.argv[1])

random = np.random.default_rng(0)
values = [random.standard_normal(shape, dtype=np.float32) for _ in names]
query, key, value = (x.reshape(1, LENGTH, HEADS, SIZE).transpose(0, 2, 1, 3) for x in values)
scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(SIZE)
weights = np.exp(scores - scores.max(-1, keepdims=True))
weights /= weights.sum(-1, keepdims=True)
expected = (weights @ value).transpose(0, 2, 1, 3).reshape(shape)

version = openvino.__version__.split("-")[0]
try:
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(sys.argv[1]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    difference = float(np.abs(compiled(values)[0] - expected).max())
    print(f"openvino {version}: read, largest difference from numpy {difference:.1e}")
    seen = "computes" if difference < 1e-5 else "computes otherwise"
except RuntimeError as error:
    text = str(error)
    print(f"openvino {version}: {type(error).__name__}: {' '.join(text.split())[-300:]}")
    seen = "refuses" if "MultiHeadAttention" in text else "fails otherwise"
sys.exit(0 if seen == sys.argv[2] else 1)
PYTHON
python3.11 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip openvino==2026.2.1 onnx==1.19.0 numpy==1.26.4
"$folder/venv/bin/python" "$folder/read.py" "$folder/m.onnx" refuses
$pip openvino==2026.3.0
"$folder/venv/bin/python" "$folder/read.py" "$folder/m.onnx" computes
