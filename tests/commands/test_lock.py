"""Two exports into one folder: the second is refused and names the first; a killed export blocks nothing."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Run

from edgebert import lock
from edgebert.errors import BusyError, DiskError
from edgebert.lock import held

HOLD = "import sys, time; from pathlib import Path; from edgebert.lock import held\n"
HOLD += "with held(Path(sys.argv[1]), '--out'): print('held', flush=True); time.sleep(600)\n"
HERE = socket.gethostname()
NOTES = {"notes": "my notes\n", "long": f"{os.getpid()} host\n" * 100}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `tmp_path / "out"`."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "out"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""

    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("edgebert.lock.fcntl.flock", refuse)


def lock_file(folder: Path) -> Path:
    return folder / f".out{lock.ENDING}"


def stop(process: subprocess.Popen[str]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("more", [(), ("--work", "WORK")])
def test_a_second_export_is_refused_before_pytorch_is_imported(
    more: tuple[str, ...],
    other: subprocess.Popen[str],
    recipe_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Run,
) -> None:
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    out, work = ("elsewhere", ("--work", tmp_path / "out")) if more else ("out", ())
    code, _, told = run("export", recipe_file, "--out", tmp_path / out, *work)
    assert code == 2
    assert told.splitlines()[-1] == (
        f"edgebert: {tmp_path / 'out'}: process {other.pid} on {HERE} is working here; "
        f"wait for it or give another {'--work' if more else '--out'}"
    )
    assert [path.name for path in tmp_path.iterdir()] == [lock_file(tmp_path).name]


def test_a_killed_export_blocks_nobody_and_leaves_nothing(other: subprocess.Popen[str], tmp_path: Path) -> None:
    stop(other)
    assert lock_file(tmp_path).exists()
    with held(tmp_path / "out", "--out"):
        assert lock_file(tmp_path).read_text() == f"{os.getpid()} {HERE}\n"
        with pytest.raises(BusyError, match=f"process {os.getpid()} on"), held(tmp_path / "out", "--out"):
            pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_export_blocks_nobody_where_there_are_no_locks(
    no_locks: None, other: subprocess.Popen[str], tmp_path: Path
) -> None:
    with pytest.raises(BusyError, match=f"process {other.pid} on {HERE}"), held(tmp_path / "out", "--out"):
        pass
    stop(other)
    with held(tmp_path / "out", "--out"):
        assert lock_file(tmp_path).exists()
    assert list(tmp_path.iterdir()) == []


def test_an_export_on_another_host_is_named_with_the_way_on(no_locks: None, tmp_path: Path) -> None:
    lock_file(tmp_path).write_text("77 far-away\n")
    with pytest.raises(BusyError) as caught, held(tmp_path / "out", "--out"):
        pass
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: process 77 on far-away is working here; wait for it or give another --out; "
        f"if that process has ended, remove {lock_file(tmp_path)} and start again"
    )
    assert lock_file(tmp_path).read_text() == "77 far-away\n"
    lock_file(tmp_path).unlink()
    with held(tmp_path / "out", "--out"):
        pass


def test_another_hosts_name_in_a_lock_that_is_free_blocks_nobody(tmp_path: Path) -> None:
    lock_file(tmp_path).write_text("77 far-away\n")
    with held(tmp_path / "out", "--out"):
        pass


@pytest.mark.parametrize("kind", ["link", "hard link", "folder", "pipe", "notes", "long"])
def test_what_is_no_lock_is_neither_written_nor_removed(kind: str, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("years of work")
    path = lock_file(tmp_path)
    if kind == "link":
        path.symlink_to(tmp_path / "precious")
    elif kind == "hard link":
        path.hardlink_to(tmp_path / "precious")
    elif kind in NOTES:
        path.write_text(NOTES[kind])
    else:
        path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(DiskError, match="remove it"), held(tmp_path / "out", "--out"):
        pass
    assert (tmp_path / "precious").read_text() == "years of work"
    assert os.path.lexists(path)
    assert kind not in NOTES or path.read_text() == NOTES[kind]


def test_a_lock_that_somebody_else_has_replaced_is_left_alone(tmp_path: Path) -> None:
    with held(tmp_path / "out", "--out"):
        lock_file(tmp_path).rename(tmp_path / "moved")
        lock_file(tmp_path).write_text("77 far-away\n")
    assert lock_file(tmp_path).read_text() == "77 far-away\n"


def test_stages_inside_the_bundle_are_refused(recipe_file: Path, tmp_path: Path, run: Run) -> None:
    for work in (tmp_path / "out", tmp_path / "out" / "work"):
        code, _, told = run("export", recipe_file, "--out", tmp_path / "out", "--work", work)
        assert code == 2
        assert "which the bundle will replace; give another --work" in told
    assert list(tmp_path.iterdir()) == []
