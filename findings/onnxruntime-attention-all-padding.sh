#!/usr/bin/env bash
# For a row with only padding, MultiHeadAttention gives the same result as without a mask. ONNX's Attention gives zeros.
#
# com.microsoft.MultiHeadAttention adds mask_filter_value (-10000) to every masked score. If all scores are masked, this
# constant cancels in the softmax: except for rounding, the result is that of a row without a mask. ONNX's own Attention
# (opset 23) with a boolean mask gives zeros. For rows with at least one token, both agree.
#
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6; Python 3.11, Linux, x86-64.
# Seen:
#   from the unmasked answer 0.00022 (MultiHeadAttention), 1.4 (Attention, all zeros); other row, between the two 0
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
import onnxruntime
from onnx import TensorProto, helper

onnxruntime.set_default_logger_severity(3)
random = np.random.default_rng(0)
values = {name: random.normal(size=(2, 3, 4)).astype(np.float32) for name in "qkv"}
MASK = np.array([[1, 1, 0], [0, 0, 0]])


def run(node, mask, kind, domain=None, opset=23):
    shaped = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3, 4]) for name in "qkv"]
    given = [*shaped, helper.make_tensor_value_info("mask", kind, list(mask.shape))]
    graph = helper.make_graph([node], "g", given, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3, 4])])
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=11)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {**values, "mask": mask})[0]


DOMAIN = "com.microsoft"
theirs = helper.make_node("MultiHeadAttention", ["q", "k", "v", "", "mask"], ["y"], domain=DOMAIN, num_heads=2)
masked = run(theirs, MASK.astype(np.int32), TensorProto.INT32, DOMAIN)
whole = run(theirs, np.ones((2, 3), np.int32), TensorProto.INT32, DOMAIN)
standard = helper.make_node("Attention", ["q", "k", "v", "mask"], ["y"], q_num_heads=2, kv_num_heads=2)
spread = np.broadcast_to(MASK[:, None, None, :].astype(bool), (2, 1, 3, 3)).copy()
zeros = run(standard, spread, TensorProto.BOOL)
unmasked, apart = np.abs(masked[1] - whole[1]).max(), np.abs(zeros[1] - whole[1]).max()
between = np.abs(masked[0] - zeros[0]).max()
print(f"from the unmasked answer {unmasked:.2g} (MultiHeadAttention), {apart:.2g} (Attention); other row {between:.2g}")
reads_mask = np.abs(masked[0] - whole[0]).max() > 0.1
raise SystemExit(not (unmasked < 1e-2 and not zeros[1].any() and between < 1e-5 and reads_mask))
PROGRAM
