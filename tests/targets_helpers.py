"""Helpers for the tests of targets."""

import json
import os
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manifests import CONTENT, manifest_of

from edgebert.measure.variants import Variant

# Runs the remote command here.
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
    if b'{"beat"' in line or not line.strip():
        continue
    left -= 1
    if left == 0:
        sys.stderr.write("Connection to there closed by remote host.\\n")
        sys.stderr.flush()
        os._exit(255)
code = there.wait()
# As ssh tells of a program that a signal ended.
sys.exit(int(said.get("FAKE_SSH_CODE", 255)) if code < 0 else code)
"""


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def lead_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the fake ssh first on the path; return the temporary folder of its machine, which is this one."""
    folder = tmp_path / "there"
    folder.mkdir()
    write_script(tmp_path / "bin" / "ssh", f"#!{sys.executable} -IS\n{textwrap.dedent(FAKE_SSH)}")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SSH_LOG", str(tmp_path / "ssh.log"))
    monkeypatch.setenv("EDGEBERT_PYTHON", sys.executable)
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether a condition becomes true before a timeout."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not holds():
        time.sleep(0.02)
    return holds()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def make_variant(folder: Path, name: str = "bundle", runtime: str = "onnxruntime", **manifest: Any) -> Variant:
    """A bundle of three small files; the model file contains its name."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_text(f"model of {name}")
    (folder / "openvino").mkdir()
    (folder / "openvino" / "model.xml").write_text("x")
    (folder / "tokenizer.json").write_text("{}")
    paths = ("model.onnx", "openvino/model.xml", "tokenizer.json")
    files = [{"path": path, "sha256": 64 * "0", "bytes": 1} for path in paths]
    changes = {"name": name, "files": files, **manifest}
    (folder / "manifest.json").write_text(json.dumps({**CONTENT, **changes}))
    return Variant(name, folder.resolve(), manifest_of(**changes), runtime)
