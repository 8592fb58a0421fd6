"""A stopped `edgebert bench` keeps finished results and leaves no process running."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Tests may run with ignored signals, for example with nohup; a bench that a user starts does not.
STARTED_BY_HAND = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
from edgebert.cli import main
sys.exit(main(sys.argv[1:]))
"""


def running() -> dict[int, int]:
    """Every running process, and its parent."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            found[int(stat.parent.name)] = int(parent)
    return found


def children_of(pid: int) -> set[int]:
    return {child for child, parent in running().items() if parent == pid}


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_bench_keeps_what_is_done_and_leaves_nothing_running(
    number: signal.Signals, built: Path, tmp_path: Path
) -> None:
    suite = 'scenarios = ["single_stream", "soak"]\nrounds = 2\nsamples = 10\nlengths = [16]\nsoak_minutes = 1.0\n'
    (tmp_path / "s.toml").write_text(suite)
    out = tmp_path / "out"
    command = [sys.executable, "-c", STARTED_BY_HAND, "bench", str(built), "--suite", str(tmp_path / "s.toml")]
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr is not None
        lines = []
        while not (lines and ": soak, " in lines[-1]):
            lines.append(bench.stderr.readline())
            assert lines[-1], "".join(lines)
        while not (children := children_of(bench.pid)):
            time.sleep(0.01)
        bench.send_signal(number)
        rest = bench.stderr.read()
    assert bench.returncode == 1
    assert rest == f"edgebert: interrupted; results so far are kept in {out / 'result.json'}\n"
    # A process that was just starting finds no job on its input and exits.
    deadline = time.monotonic() + 20
    while children & set(running()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    document = json.loads((out / "result.json").read_text())
    assert [(case["scenario"], case["samples"]) for case in document["cases"]] == [("single_stream", 20)] * 2
    assert not document["finished"]
