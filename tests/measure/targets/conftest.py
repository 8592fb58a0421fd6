"""The machine behind a fake `ssh`, and a replacement for the measured process that follows its job."""

from pathlib import Path

import pytest
from targets_helpers import lead_here, make_variant

from edgebert.measure.targets import ssh as ssh_module
from edgebert.measure.variants import Variant

CHILD = """
import json, os, sys, time
job = json.load(sys.stdin)
if job["scenario"] == "sleep":
    with open(job["pid_file"] + ".partial", "w") as opened:
        opened.write(str(os.getpid()))
    os.rename(job["pid_file"] + ".partial", job["pid_file"])
    time.sleep(600)
if job["scenario"] == "fail":
    sys.exit("first line\\nthe last line")
if job["scenario"] == "long":
    sys.stdout.write("x" * 3_000_000)
with open(os.path.join(job["bundle"], "model.onnx")) as opened:
    model = opened.read()
with open(job["data"]) as opened:
    data = opened.read()
json.dump({"folder": os.getcwd(), "first_ns": time.monotonic_ns(), "model": model, "data": data}, sys.stdout)
"""


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    return make_variant(tmp_path / "b" / "tiny")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "dev.tsv"
    path.write_text("text\tlabel\na\tp\n")
    return path


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of the machine behind the fake ssh, which is this machine."""
    return lead_here(tmp_path, monkeypatch)


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the device half: a process that sleeps, fails, or reports what it found, as the job says."""
    sources = {"edgebert/__init__.py": "", "edgebert/measure/__init__.py": "", "edgebert/measure/child.py": CHILD}
    files = {}
    for name, text in sources.items():
        files[name] = tmp_path / "half" / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text(text)
    monkeypatch.setattr(ssh_module, "device_half", lambda: files)
