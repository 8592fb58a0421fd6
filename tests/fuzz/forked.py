"""One export in a forked child, which can kill itself at a chosen file operation. Linux only."""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WRITES = os.O_WRONLY | os.O_RDWR
# What changes a folder besides opening a file for writing: an event's name and where it has its path.
CHANGES = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.truncate": 0, "os.link": 1}


@dataclass(frozen=True)
class Kill:
    """When a child ends.

    `event` counts the changes of files from 0. With `cut`, writing any file beyond so many bytes ends the child from
    that event on, in the middle of the write; without, the event itself does. `seconds` is a kill from outside.
    """

    event: int | None = None
    cut: int | None = None
    seconds: float | None = None


class Watch:
    """Counts the child's file changes below a folder, and ends the child at the chosen one."""

    def __init__(self, root: Path, kill: Kill) -> None:
        self.root, self.kill = f"{root}{os.sep}", kill
        self.changed: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        path = _changed(event, arguments)
        if path is None or not path.startswith(self.root):
            return
        if len(self.changed) == self.kill.event:
            if self.kill.cut is None:
                os.kill(os.getpid(), signal.SIGKILL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.kill.cut, self.kill.cut))
        self.changed.append(path.removeprefix(self.root))


def _changed(event: str, arguments: tuple[Any, ...]) -> str | None:
    if event == "open":
        path, _, flags = arguments
        if not isinstance(path, str) or not flags & WRITES:
            return None
    elif event in CHANGES:
        changed = arguments[CHANGES[event]]
        path = os.readlink(f"/proc/self/fd/{changed}") if isinstance(changed, int) else os.fspath(changed)
    else:
        return None
    return os.path.abspath(path) if isinstance(path, str) else None


def run(arguments: list[str], folder: Path, kill: Kill | None = None) -> tuple[int, str]:
    """Run `edgebert` with these arguments in a child, in a folder of its own.

    Returns:
        The exit code (the negative signal if one ended it), and what it wrote to stdout and stderr.
    """
    return in_child(lambda: _export(arguments), folder, kill or Kill())


def moments(arguments: list[str], folder: Path) -> tuple[list[str], list[str], float]:
    """Run an export undisturbed; return the path of every change in order, the modules it took, and the seconds."""
    notes = folder.with_name(f"{folder.name}.json")

    def noted() -> int:
        watch = Watch(folder, Kill())
        sys.addaudithook(watch)
        started = time.monotonic()
        code = _export(arguments)
        seconds = time.monotonic() - started
        notes.write_text(json.dumps([watch.changed, sorted(sys.modules), seconds]))
        return code

    code, told = in_child(noted, folder, Kill())
    if code:
        raise RuntimeError(f"the undisturbed export ended with {code}:\n{told}")
    changed, modules, seconds = json.loads(notes.read_text())
    return changed, modules, seconds


def preload(modules: list[str]) -> None:
    """Import an export's modules before the fork: the imports take longer than a tiny export."""
    for name in modules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - a module that is no use here is no use
                continue


def in_child(work: Callable[[], int], folder: Path, kill: Kill) -> tuple[int, str]:
    log = folder.with_name(f"{folder.name}.log")
    child = os.fork()
    if child == 0:
        _be_child(work, folder, kill, log)
    if kill.seconds is not None:
        _kill_after(child, kill.seconds)
    _, status = os.waitpid(child, 0)
    told = log.read_text(errors="replace") if log.is_file() else ""
    return os.waitstatus_to_exitcode(status), told


def _be_child(work: Callable[[], int], folder: Path, kill: Kill, log: Path) -> None:
    code = 70
    try:
        # A file of limited size is no place for the log of a child that is to be cut off.
        told = os.open(os.devnull if kill.cut is not None else log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(told, 1)
        os.dup2(told, 2)
        os.chdir(folder)
        temporary = folder.with_name(f"{folder.name}.tmp")
        temporary.mkdir(exist_ok=True)
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if kill.event is not None:
            sys.addaudithook(Watch(folder, kill))
        code = work()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the parent has to read it
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(code)


def _export(arguments: list[str]) -> int:
    from edgebert.cli import main

    return main(arguments)


def _kill_after(child: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
