"""A fake `ssh` that runs the remote command here, and a stand-in for the measured process that does as its job says."""

import os
import sys
import textwrap
from pathlib import Path

import pytest
from targets_helpers import make_variant, write_script

from edgebert.measure.targets import ssh as ssh_module
from edgebert.measure.variants import Variant

FAKE_SSH = """
import os, subprocess, sys, threading
said = os.environ
with open(said["FAKE_SSH_LOG"], "a") as log:
    log.write(f"{os.getpid()} {' '.join(sys.argv[1:-1])}\\n")
if "FAKE_SSH_REFUSES" in said:
    code, _, text = said["FAKE_SSH_REFUSES"].partition(":")
    sys.stderr.write(f"a banner\\n{text}\\n")
    sys.exit(int(code))
print("a login script's own line", flush=True)
there = subprocess.Popen(["sh", "-c", said.get("FAKE_SSH_PREFIX", "") + sys.argv[-1]], stdin=-1, stdout=-1)
def forward():
    while block := os.read(0, 65536):
        there.stdin.write(block)
        there.stdin.flush()
    there.stdin.close()
threading.Thread(target=forward, daemon=True).start()
old, _, new = said.get("FAKE_SSH_REPLACES", "").partition("=")
left = int(said.get("FAKE_SSH_LINES", 0))
for line in there.stdout:
    sys.stdout.buffer.write(line.replace(old.encode(), new.encode()) if old else line)
    sys.stdout.buffer.flush()
    if b'{"beat"' in line:
        continue
    left -= 1
    if left == 0:
        sys.stderr.write("Connection to there closed by remote host.\\n")
        sys.stderr.flush()
        os._exit(255)
sys.exit(there.wait())
"""

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
    """The temporary folder of the machine that the fake ssh leads to: this one."""
    folder = tmp_path / "there"
    folder.mkdir()
    write_script(tmp_path / "bin" / "ssh", f"#!{sys.executable} -IS\n{textwrap.dedent(FAKE_SSH)}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SSH_LOG", str(tmp_path / "ssh.log"))
    monkeypatch.setenv("EDGEBERT_PYTHON", sys.executable)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the device half: a process that sleeps, fails, or tells what it found, as the job says."""
    sources = {"edgebert/__init__.py": "", "edgebert/measure/__init__.py": "", "edgebert/measure/child.py": CHILD}
    files = {}
    for name, text in sources.items():
        files[name] = tmp_path / "half" / name
        files[name].parent.mkdir(parents=True, exist_ok=True)
        files[name].write_text(text)
    monkeypatch.setattr(ssh_module, "device_half", lambda: files)
