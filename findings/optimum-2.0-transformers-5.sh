#!/usr/bin/env bash
# optimum 2.0.0 declares transformers>=4.29 without an upper bound, but its export tables import names that transformers
# 5 has removed. pip installs the two together, and the import fails. optimum 2.1.0 can be imported.
#
# Versions: torch 2.13.0, transformers 5.23.0, optimum 2.0.0 and 2.1.0, requests 2.32.5, Python 3.11.
# Seen:     2.0.0: ImportError: cannot import name 'TF2_WEIGHTS_NAME' from 'transformers.utils'
#           2.1.0: AutoModelForSequenceClassification
# Exit code: 0 while 2.0.0 fails to import and 2.1.0 imports, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
pip="$folder/venv/bin/python -m pip install --quiet --disable-pip-version-check"
$pip torch==2.13.0
$pip optimum==2.0.0 transformers==5.23.0 requests==2.32.5 numpy==2.4.6
cat > "$folder/tables.py" <<'PYTHON'
import importlib.metadata
import sys

version = importlib.metadata.version("optimum")
try:
    from optimum.exporters.tasks import TasksManager

    seen = TasksManager.get_model_class_for_task("text-classification", framework="pt", model_type="bert").__name__
    print(f"optimum {version}: {seen}")
    code = 0
except (ImportError, AttributeError) as error:
    print(f"optimum {version}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    code = 1
sys.exit(0 if code == (sys.argv[1] == "fails") else 1)
PYTHON
"$folder/venv/bin/python" "$folder/tables.py" fails
$pip optimum==2.1.0
"$folder/venv/bin/python" "$folder/tables.py" works
