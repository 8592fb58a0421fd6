"""A short run of the harness that kills exports; `make fuzz` kills fifty."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.skipif(sys.platform != "linux", reason="counts changes of files in forked processes")
def test_killed_exports_go_on_to_the_undisturbed_files() -> None:
    command = [sys.executable, "-m", "fuzz.kills", "--kills", "2", "--exports", "halved"]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.startswith("kills: 2 (1 by event, 1 by cut, 0 by time)")
