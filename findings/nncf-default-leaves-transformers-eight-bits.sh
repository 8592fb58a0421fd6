#!/usr/bin/env bash
# nncf 3.4.0 with OpenVINO 2026.4.1: the default overflow fix does not change the eight-bit weights of a transformer.
#
# On x86 without VNNI, OpenVINO adds two products of an unsigned and a signed byte in 16 bits. This saturates unless the
# weights have seven bits. nncf has a fix for this (`overflow_fix`), and its default is FIRST_LAYER. FIRST_LAYER halves
# the range of the first convolutions of a model. A transformer has only matmuls, so it gets no fix: the bytes are the
# same as with DISABLE. This is also so with model_type TRANSFORMER and the default target device (ANY). ENABLE halves
# the range of every matrix.
#
# Seen (Python 3.11, x86_64):
#   default: weights from -127 to 127
#   DISABLE: weights from -127 to 127
#   ENABLE: weights from -63 to 63
#
# Exit code: 0 while this is so, 1 once a matrix has seven bits by default.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet nncf==3.4.0 openvino==2026.4.1 numpy==2.4.6
cat >script.py <<'END'
import logging
import sys

import nncf
import numpy as np
import openvino as ov
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix
from openvino import opset13 as ops

logging.getLogger("nncf").setLevel(logging.ERROR)
random = np.random.default_rng(0)
matrix = random.uniform(-1, 1, (64, 32)).astype(np.float32)
texts = [random.uniform(0, 1, (5, 64)).astype(np.float32) for _ in range(8)]


def model():
    given = ops.parameter([-1, 64], np.float32, name="x")
    return ov.Model([ops.matmul(given, ops.constant(matrix), False, False)], [given])


def extremes(**fix):
    parameters = {"advanced_parameters": AdvancedQuantizationParameters(**fix)} if fix else {}
    dataset = nncf.Dataset([{0: text} for text in texts])
    made = nncf.quantize(model(), dataset, model_type=nncf.ModelType.TRANSFORMER, subset_size=8, **parameters)
    constants = [each for each in made.get_ordered_ops() if each.get_type_name() == "Constant"]
    (weights,) = [each.get_data() for each in constants if each.get_element_type() == ov.Type.i8]
    return int(weights.min()), int(weights.max())


found = {"default": extremes()}
found |= {fix.name: extremes(overflow_fix=fix) for fix in (OverflowFix.DISABLE, OverflowFix.ENABLE)}
for name, (low, high) in found.items():
    print(f"{name}: weights from {low} to {high}")
sys.exit(not (found["default"] == found["DISABLE"] and found["default"][1] == 127 and found["ENABLE"][1] <= 64))
END
venv/bin/python script.py
