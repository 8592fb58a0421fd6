#!/usr/bin/env bash
# neural-compressor 3.8 declares no upper bound for torch. Its static quantizer imports torch.ao.quantization.quantizer,
# which torch 2.13 no longer has. 3.8.1 works.
#
# Versions: torch 2.13.0, neural-compressor[pt] 3.8 and 3.8.1, torchao 0.18.0, Python 3.11.
# Input:    one linear layer of 8 x 8.
# Seen:     3.8:   ModuleNotFoundError: No module named 'torch.ao.quantization.quantizer'
#           3.8.1: quantized, output (4, 8)
# Exit code: 0 while 3.8 fails to import and 3.8.1 quantizes, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/quantize.py" <<'PYTHON'
import importlib.metadata
import sys
import warnings

import torch

warnings.simplefilter("ignore")
version = importlib.metadata.version("neural-compressor")
try:
    from neural_compressor.torch.export import export
    from neural_compressor.torch.quantization import StaticQuantConfig, convert, prepare

    module, values = torch.nn.Sequential(torch.nn.Linear(8, 8)).eval(), torch.ones(4, 8)
    prepared = prepare(export(module, (values,)), StaticQuantConfig())
    prepared(values)
    print(f"neural-compressor {version}: quantized, output {tuple(convert(prepared)(values).shape)}")
    seen = "quantizes"
except ImportError as error:
    print(f"neural-compressor {version}: {type(error).__name__}: {error}")
    seen = "fails" if error.name and error.name.startswith("torch.ao.quantization") else "fails otherwise"
sys.exit(0 if seen == sys.argv[1] else 1)
PYTHON
python3.11 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0
$pip "neural-compressor[pt]==3.8" torchao==0.18.0 numpy==1.26.4
"$folder/venv/bin/python" "$folder/quantize.py" fails
$pip --no-deps neural-compressor==3.8.1
"$folder/venv/bin/python" "$folder/quantize.py" quantizes
