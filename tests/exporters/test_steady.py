"""A graph has the same bytes in every process, independent of the order of Python's sets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from family_checkpoints import make_family

EXPORT = """
import sys
from pathlib import Path

from edgebert.compress import checkpoint
from edgebert.exporters.onnx import export_plain
from edgebert.tasks.training_table import training_task

folder, out = map(Path, sys.argv[1:])
model = checkpoint.load_model(folder, "text-classification", ["a", "b"])
export_plain(model, training_task("text-classification"), ["logits"], out)
"""


@pytest.mark.slow
def test_a_modernbert_has_the_same_graph_in_every_process(tmp_path: Path) -> None:
    folder = make_family(tmp_path / "model", "modernbert", num_hidden_layers=2)
    graphs = set()
    # Seeds under which a set of the two kinds of attention has either order.
    for seed in ("0", "1"):
        out = tmp_path / f"{seed}.onnx"
        command = [sys.executable, "-W", "ignore", "-c", EXPORT, str(folder), str(out)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True)
        graphs.add(out.read_bytes())
    assert len(graphs) == 1
