#!/usr/bin/env bash
# ONNX Runtime before 1.21 (CPU): com.microsoft.MultiHeadAttention with one query row, several keys and a
# key_padding_mask of (batch, keys) ignores the mask, without an error. With equal numbers of queries and keys it
# applies it. The last encoder layer has this form if the head reads only [CLS].
#
# Versions: onnxruntime 1.20.1 and 1.21.0 (1.18.1 and 1.19.2 behave as 1.20.1), onnx 1.17.0, numpy 1.26.4, Python 3.11.
# Input:    batch 2, one query, 6 keys, two heads of 4; the second row has 3 keys and 3 masked ones.
# Seen:     onnxruntime 1.20.1: largest difference from numpy 7.5e-01
#           onnxruntime 1.21.0: largest difference from numpy 8.4e-08
# Exit code: 0 while 1.20.1 is wrong and 1.21.0 is right, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/attend.py" <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

BATCH, LENGTH, HEADS, SIZE = 2, 6, 2, 4
WIDTH = HEADS * SIZE
shapes = {"query": [BATCH, 1, WIDTH], "key": [BATCH, LENGTH, WIDTH], "value": [BATCH, LENGTH, WIDTH]}
inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
inputs.append(helper.make_tensor_value_info("mask", TensorProto.INT32, [BATCH, LENGTH]))
node = helper.make_node(
    "MultiHeadAttention", ["query", "key", "value", "", "mask"], ["out"],
    domain="com.microsoft", num_heads=HEADS, mask_filter_value=-10000.0,
)
graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("out", TensorProto.FLOAT, shapes["query"])])
opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
model = helper.make_model(graph, opset_imports=opsets, ir_version=9)

random = np.random.default_rng(0)
query, key, value = (random.standard_normal(shape, dtype=np.float32) for shape in shapes.values())
mask = np.array([[1] * 6, [1] * 3 + [0] * 3], np.int32)


def heads(x):
    return x.reshape(BATCH, -1, HEADS, SIZE).transpose(0, 2, 1, 3)


scores = heads(query) @ heads(key).transpose(0, 1, 3, 2) / np.sqrt(SIZE) + np.where(mask, 0, -10000.0)[:, None, None, :]
weights = np.exp(scores - scores.max(-1, keepdims=True))
expected = ((weights / weights.sum(-1, keepdims=True)) @ heads(value)).transpose(0, 2, 1, 3).reshape(shapes["query"])
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
found = session.run(None, {"query": query, "key": key, "value": value, "mask": mask})[0]
difference = float(np.abs(found - expected).max())
print(f"onnxruntime {onnxruntime.__version__}: largest difference from numpy {difference:.1e}")
sys.exit(0 if (difference > 1e-2) == (sys.argv[1] == "wrong") else 1)
PYTHON
export ORT_DISABLE_TELEMETRY=1
python3.11 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip onnxruntime==1.20.1 onnx==1.17.0 numpy==1.26.4
"$folder/venv/bin/python" "$folder/attend.py" wrong
$pip onnxruntime==1.21.0
"$folder/venv/bin/python" "$folder/attend.py" right
