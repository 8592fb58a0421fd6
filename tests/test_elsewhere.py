"""The device half without Linux-only features, as on macOS and Windows: commands, Python, a bench."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Run by Python at its start (sitecustomize), in measured processes too. The subprocess module keeps what it needs.
ELSEWHERE = """
import io, os, signal, sys
import subprocess, threading  # use some of it while they are imported
for name in ("sched_getaffinity", "sched_setaffinity", "fork", "forkpty", "register_at_fork", "killpg", "setsid",
             "getpgid", "getloadavg", "sysconf", "getuid", "geteuid", "getgid", "chown", "mkfifo", "wait3", "wait4",
             "statvfs", "O_DIRECTORY", "O_NOFOLLOW"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGALRM", "alarm", "setitimer", "pthread_sigmask", "pthread_kill"):
    if hasattr(signal, name):
        delattr(signal, name)

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in ("resource", "fcntl", "pwd", "grp", "termios", "tty", "pty", "syslog"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Absent())

def hidden(path):
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return text.startswith(("/proc", "/sys"))

def refuse(event, arguments):
    if event in ("open", "os.listdir", "os.scandir") and hidden(arguments[0]):
        raise FileNotFoundError(2, "No such file or directory", arguments[0])

def stat(path, *arguments, found=os.stat, **options):
    refuse("open", (path,))
    return found(path, *arguments, **options)

sys.addaudithook(refuse)
os.stat = stat
"""


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process on a machine that has only features of every operating system."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "sitecustomize.py").write_text(ELSEWHERE)
    path = [str(folder), *(entry for entry in sys.path if entry)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def python(environment: dict[str, str], code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_names_are_gone(elsewhere: dict[str, str]) -> None:
    code = """
import os, pathlib, signal
assert not hasattr(os, "sched_getaffinity") and not hasattr(os, "fork") and not hasattr(signal, "SIGHUP")
for module in ("resource", "fcntl"):
    try:
        __import__(module)
    except ImportError:
        continue
    raise SystemExit(module)
assert not pathlib.Path("/proc/self/status").exists() and not list(pathlib.Path("/sys").glob("*/*"))
try:
    open("/proc/cpuinfo")
except FileNotFoundError:
    print("gone")
"""
    assert python(elsewhere, code) == "gone\n"


COMMANDS = """
import sys
from edgebert.cli import main
bundle, data, result = sys.argv[1:]
for command in (["inspect", bundle], ["verify", bundle], ["predict", bundle, "a good film"], ["predict", bundle,
                "--input", data], ["evaluate", bundle, "--data", data], ["profiles"], ["doctor"],
                ["report", result, "--out", "-"]):
    assert main(command) == 0, command
    assert main([*command, "--json"]) == 0 or command[0] == "report", command
"""


def test_every_command_of_the_device_half_works_elsewhere(
    elsewhere: dict[str, str], built: Path, data_dir: Path, tmp_path: Path
) -> None:
    from result_documents import document

    (tmp_path / "result.json").write_text(json.dumps(document()))
    out = python(elsewhere, COMMANDS, built, data_dir / "test.tsv", tmp_path / "result.json")
    assert "files complete and unaltered" in out
    assert "accuracy" in out


def test_python_answers_as_here(elsewhere: dict[str, str], built: Path, data_dir: Path) -> None:
    code = """
import sys, edgebert
for runtime in ("onnxruntime", "openvino"):
    model = edgebert.load(sys.argv[1], runtime=runtime)
    print(model("a good film"), edgebert.evaluate(model, sys.argv[2])["accuracy"].value)
"""
    assert python(elsewhere, code, built, data_dir / "test.tsv") == python(
        dict(os.environ), code, built, data_dir / "test.tsv"
    )


SUITE = 'name = "elsewhere"\nscenarios = ["single_stream"]\nlengths = [8]\nrounds = 2\nsamples = 10\nwarmup = 1\n'
COMMAND = "import sys\nfrom edgebert.cli import main\nsys.exit(main(sys.argv[1:]))"


def test_bench_leaves_out_what_the_system_does_not_tell(elsewhere: dict[str, str], built: Path, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SUITE)
    python(elsewhere, COMMAND, "bench", built, "--suite", tmp_path / "s.toml", "--out", tmp_path / "out")
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["finished"]
    assert result["environment"]["cores"] == os.cpu_count()
    for case in result["cases"]:
        assert case["p50_ms"] > 0
        # Peak memory and the share of other processes are missing, never 0.
        assert (case["peak_rss_mb"], case["memory"], case["others"]) == (None, None, None)
    assert "p50" in python(elsewhere, COMMAND, "report", tmp_path / "out", "--out", "-")
