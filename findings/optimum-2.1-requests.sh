#!/usr/bin/env bash
# optimum (core) imports `requests` but does not declare it as a dependency. huggingface_hub 1.x uses httpx, so it no
# longer installs requests. After a fresh install of optimum with transformers 5, optimum.exporters.tasks cannot be
# imported.
#
# Versions: torch 2.13.0, optimum 2.1.0 (2.3.0 the same), transformers 5.0.0, huggingface_hub 1.x, Python 3.11.
# Seen:     optimum declares no requests; ModuleNotFoundError: No module named 'requests'
# Exit code: 0 while the import asks for requests, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0
$pip optimum==2.1.0 transformers==5.0.0 numpy==1.26.4
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata
import sys

declared = [line for line in importlib.metadata.requires("optimum") if line.startswith("requests") and "extra" not in line]
try:
    import optimum.exporters.tasks

    print("optimum.exporters.tasks: imported")
    sys.exit(1)
except ModuleNotFoundError as error:
    print(f"optimum declares {declared or 'no requests'}; {type(error).__name__}: {error}")
    sys.exit(0 if error.name == "requests" and not declared else 1)
PYTHON
