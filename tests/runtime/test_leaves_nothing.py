"""A prediction leaves no files and makes no connections, according to Python's audit events and the kernel."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from edgebert.measure.process import run_child
from edgebert.measure.targets import keeper

SWITCH = "ORT_DISABLE_TELEMETRY"
PREDICT = """
import json, os, sys
opened, sockets = [], []
def seen(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.append([os.path.realpath(os.fsdecode(arguments[0])), arguments[2]])
    elif event.startswith("socket."):
        sockets.append(event)
sys.addaudithook(seen)
import edgebert
answer = str(edgebert.load(sys.argv[1], threads=1)("a good film"))
files = [f"/proc/self/fd/{at}" for at in os.listdir("/proc/self/fd")]
links = [os.readlink(file) for file in files if os.path.lexists(file)]
threads = len(os.listdir("/proc/self/task"))
print(json.dumps({"answer": answer, "opened": opened, "sockets": sockets, "links": links, "threads": threads}))
"""
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """Empty folders that a process uses as the user's: home, cache, temporary files, working folder."""
    found = {name: tmp_path / name for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR", "PWD")}
    for place in found.values():
        place.mkdir()
    return found


def variables(places: dict[str, Path]) -> dict[str, str]:
    """Environment of a user who has not set anything about telemetry."""
    own = {name: str(place) for name, place in places.items()}
    quiet = {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    kept = {key: value for key, value in os.environ.items() if key not in (SWITCH, "PYTHONPYCACHEPREFIX")}
    return {**kept, **own, **quiet, "PYTHONPATH": path}


def left(places: dict[str, Path]) -> list[Path]:
    """All files in these folders."""
    return [path for place in places.values() for path in place.rglob("*")]


def readable() -> list[str]:
    """Folders of Python, its packages, our sources and the system's libraries."""
    found = {sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *(path for path in sys.path if path)}
    return [os.path.realpath(path) for path in found] + ["/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev"]


def within(path: str, folders: list[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


@linux
def test_a_prediction_reads_its_bundle_writes_nothing_and_opens_no_socket(built: Path, places: dict[str, Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(built)],
        env=variables(places), cwd=places["PWD"], capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["answer"].startswith("pos")
    inside = [path for path, _ in found["opened"] if within(path, [str(built.resolve())])]
    assert {Path(path).name for path in inside} >= {"manifest.json", "model.onnx", "tokenizer.json"}
    allowed = [str(built.resolve()), *readable()]
    assert [path for path, _ in found["opened"] if not within(path, allowed)] == []
    assert [path for path, flags in found["opened"] if flags & WRITES] == []
    assert found["sockets"] == []
    assert [link for link in found["links"] if link.startswith("socket:")] == []
    # An unexpected thread would be telemetry's; a forked child process would wait for it forever.
    assert found["threads"] == 1
    assert left(places) == []


@linux
def test_the_kernel_sees_no_write_and_no_socket_either(built: Path, places: dict[str, Path], tmp_path: Path) -> None:
    strace = shutil.which("strace")
    trace = tmp_path / "trace"
    if not strace or subprocess.run([strace, "-o", trace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace is not installed, or may not trace here")
    calls = "trace=open,openat,openat2,creat,socket,mkdir,mkdirat,rename,renameat2,unlink,unlinkat"
    code = "import sys, edgebert; edgebert.load(sys.argv[1], threads=1)('a good film')"
    command = [strace, "-f", "-e", calls, "-o", trace, sys.executable, "-c", code, built]
    subprocess.run(command, env=variables(places), cwd=places["PWD"], capture_output=True, check=True)
    lines = trace.read_text().splitlines()
    assert any("tokenizer.json" in line for line in lines)
    writing = ("O_WRONLY", "O_RDWR", "O_CREAT", "socket(", "creat(", "mkdir", "rename", "unlink")
    assert [line for line in lines if any(word in line for word in writing)] == []
    assert left(places) == []


def test_a_value_that_the_user_has_set_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"import edgebert, os; print(os.environ[{SWITCH!r}])"
    for value, kept in ((None, "1"), ("0", "0"), ("", "")):
        monkeypatch.delenv(SWITCH, raising=False)
        if value is not None:
            monkeypatch.setenv(SWITCH, value)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == kept
        assert keeper.variables("there")[SWITCH] == kept


def test_measured_processes_and_the_far_end_of_ssh_leave_nothing(
    built: Path, places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in variables(places).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(SWITCH)
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "scenario": "memory", "length": 0}
    assert run_child({**job, "texts": ["a good film"], "samples": 1})["first_ns"] > 0
    there = tmp_path / "there"
    there.mkdir()
    assert keeper.import_error(str(there), ["onnxruntime"]) == ""
    assert [*left(places), *there.rglob("*")] == []
