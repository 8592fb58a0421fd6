#!/usr/bin/env bash
# ONNX Runtime accepts unknown names in disabled_optimizers without an error or a warning, and the fusion stays enabled.
#
# The optimizer that fuses Add and LayerNormalization to SkipLayerNormalization is called SkipLayerNormFusion. Other
# names are ignored silently, so a misspelled or renamed optimizer stays enabled.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64.
# Seen:
#   none: SkipLayerNormalization; SkipLayerNormFusion: Add LayerNormalization; SkipLayerNormalizationFusion:
#   SkipLayerNormalization; nothing about the name at logging level WARNING
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
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

nodes = [
    helper.make_node("Add", ["a", "b"], ["sum"]),
    helper.make_node("LayerNormalization", ["sum", "scale", "bias"], ["y"], axis=-1),
]
a, b, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, 8]) for name in "aby")
weights = [numpy_helper.from_array(np.full(8, value, np.float32), name) for name, value in (("scale", 1), ("bias", 0))]
graph = helper.make_graph(nodes, "g", [a, b], [y], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def operators(disabled):
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = "optimized.onnx", 2
    providers = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers, disabled_optimizers=disabled)
    return [node.op_type for node in onnx.load("optimized.onnx").graph.node]


# C++ code writes the warnings directly to the standard error of the process.
kept = os.dup(2)
with open("log", "wb") as log:
    os.dup2(log.fileno(), 2)
    found = [operators(each) for each in ([], ["SkipLayerNormFusion"], ["SkipLayerNormalizationFusion"])]
    os.dup2(kept, 2)
warned = "SkipLayerNormalizationFusion" in open("log").read()
print(*found, "warned" if warned else "not warned")
fused = ["SkipLayerNormalization"]
sys.exit(not (found == [fused, ["Add", "LayerNormalization"], fused] and not warned))
PROGRAM
