#!/usr/bin/env bash
# onnxruntime's quantize_dynamic configures Python's root logger. It warns with logging.warning, which adds a handler on
# standard error to a root logger that has none. From then on, every log line of every library is also printed on
# standard error, whether or not the library has its own handler.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6, Python 3.11.
# Input:    a graph of one MatMul of 4 by 4, made here.
# Seen:     before: handlers of the root logger []
#           after:  handlers of the root logger ['StreamHandler']
#           WARNING:root:Please consider to run pre-processing before quantization. [...] (on standard error)
#           WARNING:application:a line of the application (on standard error, nobody having asked for it)
# Exit code: 0 while a call gives the root logger a handler, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/quantize.py" <<'PYTHON'
import logging
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from onnxruntime.quantization import quantize_dynamic

folder = Path(sys.argv[1])
weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", value[:1], value[1:], [weight])
save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "in.onnx")


def handlers() -> list[str]:
    return [type(handler).__name__ for handler in logging.getLogger().handlers]


before = handlers()
quantize_dynamic(folder / "in.onnx", folder / "out.onnx")
after = handlers()
print("before: handlers of the root logger", before)
print("after:  handlers of the root logger", after)
logging.getLogger("application").warning("a line of the application")
sys.exit(0 if not before and after == ["StreamHandler"] else 1)
PYTHON
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
"$folder/venv/bin/python" "$folder/quantize.py" "$folder"
