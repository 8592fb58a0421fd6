#!/usr/bin/env bash
# torch.onnx.export keeps a model's weights in memory after the model and the exported program are deleted.
#
# onnxscript optimizes every exported graph with rewrite rules that are made once for the process. Each rule's matcher
# keeps the graph that it matched last, and each value of that graph keeps its weights (`const_value`). The next export
# replaces them. To free them now, set `const_value` of the program's initializers to None.
#
# Versions: torch 2.13.0 (CPU), onnx 1.23.2, onnxscript 0.7.2, onnx-ir 1.1.0; Python 3.11, Linux, x86-64.
# Seen, a linear layer:
#   its weight after the export, with model and program deleted: in memory
#   with const_value set to None before: freed
#
# Exits with 0 while this is so, with 1 once it changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.13.0 onnx==1.23.2 onnxscript==0.7.2 onnx-ir==1.1.0 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - 2> errors <<'PROGRAM' || { cat errors; exit 1; }
import gc
import weakref

import torch


def alive(forget):
    model = torch.nn.Linear(512, 512).eval()
    weight = weakref.ref(model.weight)
    program = torch.onnx.export(model, (torch.zeros(1, 512),), dynamo=True, verbose=False)
    if forget:
        for value in program.model.graph.initializers.values():
            value.const_value = None
    del model, program
    gc.collect()
    return weight() is not None


kept, freed = alive(forget=False), not alive(forget=True)
print("its weight after the export, with model and program deleted:", "in memory" if kept else "freed")
print("with const_value set to None before:", "freed" if freed else "in memory")
raise SystemExit(not (kept and freed))
PROGRAM
