#!/usr/bin/env bash
# nncf fails on an OpenVINO model from ONNX if another model with the same attention is open in the process.
#
# OpenVINO's ONNX reader uses one shared constant for every com.microsoft.MultiHeadAttention in a process. The constant
# lists its readers in all open models. nncf.quantize follows this list and looks for a node of the other model in its
# own graph. A clone of the model has its own constants, and quantization works.
#
# Versions: nncf 3.4.0, openvino 2026.4.1, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64.
# Seen:
#   alone: quantized; beside another model: InternalError: Could not find a node Gather_14472 in NNCFGraph!; a
#   clone: quantized (the number differs)
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
export ORT_DISABLE_TELEMETRY=1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check nncf==3.4.0 openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PROGRAM'
import logging

import nncf
import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

logging.getLogger("nncf").setLevel(logging.ERROR)
random = np.random.default_rng(0)
weights = [numpy_helper.from_array(random.normal(size=(8, 8)).astype(np.float32), f"w{each}") for each in "qkv"]
nodes = [helper.make_node("MatMul", ["x", f"w{each}"], [each], f"product_{each}") for each in "qkv"]
inputs = ["q", "k", "v", "", "mask"]
nodes.append(helper.make_node("MultiHeadAttention", inputs, ["y"], "attention", domain="com.microsoft", num_heads=2))
x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, "n", 8]) for name in "xy")
mask = helper.make_tensor_value_info("mask", TensorProto.INT32, [1, "n"])
graph = helper.make_graph(nodes, "g", [x, mask], [y], weights)
opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), "attention.onnx")
rows = [{"x": random.normal(size=(1, n, 8)).astype(np.float32), "mask": np.ones((1, n), np.int32)} for n in (3, 5)]


def read():
    return openvino.Core().read_model("attention.onnx")


def quantize(model):
    try:
        nncf.quantize(model, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER, subset_size=2)
    except nncf.InternalError as error:
        return f"InternalError: {error}"
    return "quantized"


alone = quantize(read())
other = read()
beside, cloned = quantize(read()), quantize(read().clone())
print(f"alone: {alone}; beside another model: {beside}; a clone: {cloned} ({len(other.get_ops())} nodes in the other)")
raise SystemExit(not (alone == cloned == "quantized" and beside.startswith("InternalError: Could not find a node")))
PROGRAM
