"""The other end of `ssh://`: keeps a temporary folder, runs jobs in it, and removes it when the connection ends.

This source is sent over the connection and run by the Python there, so it uses only the standard library and nothing of
EdgeBERT. Its input is lines of JSON; `put` is followed by the file's bytes. Its output is lines of JSON after `MARK`,
because a login script may write lines of its own, the last one perhaps without a line end. It ends when the connection
closes, when nothing has come for `silence_s`, or on SIGTERM or SIGHUP; it then ends the measured process and removes
the folder. It writes a heartbeat at its start, and at intervals if something has come: `{"beat": true}`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any

MARK = "edgebert: "
BLOCK = 1 << 16
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Create a new file or fail: never write to an existing file or through a link.
NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
ENDINGS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


Message = dict[str, Any]

NUMBER = (int, float)
# Required values of each message. A job includes the texts of a data file.
FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "hello": {"silence_s": NUMBER, "bytes": int, "modules": list},
    "put": {"path": str, "bytes": int},
    "run": {"job": dict, "timeout_s": NUMBER},
}
MAX_LINE = 1 << 30
MOVED = "refuses to write: another folder or a link has replaced its temporary folder"
PREPARE_S = 300


class Closed(Exception):
    """The connection has ended."""


def inside(folder: str, path: object) -> str:
    """Location of a received file.

    Raises:
        ValueError: The path is not a plain relative one, or a link leads out of the folder.
    """
    if folder and isinstance(path, str) and "\0" not in path and not {"", ".", ".."} & set(path.split("/")):
        place, root = os.path.join(folder, path), os.path.realpath(folder)
        if os.path.commonpath([root, os.path.realpath(os.path.dirname(place))]) == root:
            return place
    raise ValueError(f"refuses to write {path!r:.80}, which is not below its folder")


class Connection:
    """Reads frames from standard input in a thread, and records when something last came."""

    def __init__(self) -> None:
        self.events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.folder, self.place = "", -1
        self.write_error = ""
        self.refused = False
        self.silence_s = 60.0
        self._heard = self._said = time.monotonic()
        self._left = b""
        self._lock = threading.Lock()

    def own(self, folder: str) -> None:
        """Change into the folder just made, and keep it open whatever takes its name later."""
        self.folder, self.place = folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def is_own(self) -> bool:
        """Whether the folder with that name is still the one made here, and not a link or another one."""
        try:
            return os.path.samestat(os.lstat(self.folder), os.fstat(self.place))
        except OSError:
            return False

    def new(self, name: str) -> int:
        """Open a new file directly in the folder; an older file with that name is removed first."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.place)
        return os.open(name, NEW, 0o600, dir_fd=self.place)

    def read(self) -> None:
        """Write files to their locations, and put everything else into `events`; None when the connection has ended."""
        try:
            while True:
                message = json.loads(self._line())
                check_message(message)
                if message["op"] == "put":
                    self._put(message["path"], message["bytes"])
                elif message["op"] != "beat":
                    self.events.put(message)
        except (Closed, ValueError, KeyError, TypeError, RecursionError, OSError):
            self.events.put(None)

    def next(self) -> Message:
        """Wait for the next event.

        Raises:
            Closed: The connection has ended, or has been silent for too long.
        """
        while True:
            try:
                event = self.events.get(timeout=self.silence_s)
            except queue.Empty:
                if time.monotonic() - self._heard > self.silence_s:
                    raise Closed from None
                continue
            if event is None:
                raise Closed
            return event

    def answer(self, document: Message) -> None:
        """Write one line, after a line break in case other output did not end its line."""
        line = f"\n{MARK}{json.dumps(document)}\n".encode()
        with self._lock:
            while line:
                line = line[os.write(1, line) :]

    def _put(self, path: str, size: int) -> None:
        """Write a new file; if that fails, the data is skipped and `write_error` holds the reason."""
        blocks = self._blocks(size)
        try:
            if not self.is_own():
                raise ValueError(MOVED)
            place = inside(self.folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with os.fdopen(os.open(place, NEW, 0o600), "wb") as opened:
                for block in blocks:
                    opened.write(block)
        except ValueError as error:
            self.refused, self.write_error = True, str(error)
        except OSError as error:
            self.write_error = self.write_error if self.refused else error.strerror or str(error)
        for _ in blocks:  # what is left of a file that was not written
            continue

    def _line(self) -> bytes:
        while b"\n" not in self._left:
            if len(self._left) > MAX_LINE:
                raise ValueError("a line has no end")
            self._left += self._block()
        line, _, self._left = self._left.partition(b"\n")
        return line

    def _blocks(self, size: int) -> Iterator[bytes]:
        while size:
            self._left = self._left or self._block()
            block, self._left = self._left[:size], self._left[size:]
            size -= len(block)
            yield block

    def _block(self) -> bytes:
        block = os.read(0, BLOCK)
        if not block:
            raise Closed
        self._heard = time.monotonic()
        if self._heard - self._said >= self.silence_s / 8:
            self._said = self._heard
            self.answer({"beat": True})
        return block


def main() -> None:
    """Serve one connection."""
    for number in ENDINGS:
        signal.signal(number, lambda *_: sys.exit(1))
    connection = Connection()
    threading.Thread(target=connection.read, daemon=True).start()
    try:
        connection.answer({"beat": True})
        serve(connection)
    except (Closed, BrokenPipeError):
        pass
    finally:
        for number in ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        if connection.is_own():
            shutil.rmtree(connection.folder, ignore_errors=True)


def check_message(message: Message) -> None:
    """Refuse a message in which a value is missing or has the wrong type.

    Raises:
        ValueError: Names the value.
    """
    for name, kind in FIELDS.get(message["op"], {}).items():
        value = message.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"{message['op']}: {name} is {value!r:.40}")
        if isinstance(value, int | float) and not 0 <= value < 1 << 100:
            raise ValueError(f"{message['op']}: {name} is {value!r:.40}")


def serve(connection: Connection) -> None:
    """Answer until the connection ends."""
    while True:
        message = connection.next()
        if message["op"] == "hello" and not connection.folder:
            connection.answer(hello(connection, message))
        elif not connection.folder or message["op"] == "hello":
            raise Closed  # nothing is written before there is a folder, and a second one would stay behind
        elif message["op"] == "ready":
            if connection.is_own():
                compile_sources(connection.folder)
            connection.answer({"write_error": connection.write_error, "refused": connection.refused})
        elif message["op"] == "run":
            connection.answer(run_or_full(connection, message))


def hello(connection: Connection, message: Message) -> Message:
    """Describe this machine, and make a folder on a disk with room for `bytes`."""
    connection.silence_s = message["silence_s"]
    places = {place: free_bytes(place) for place in (tempfile.gettempdir(), "/var/tmp", os.path.expanduser("~"))}
    roomy = [place for place, free in places.items() if free >= message["bytes"]]
    if roomy:
        connection.own(tempfile.mkdtemp(prefix="edgebert-", dir=roomy[0]))
    return {
        "folder": connection.folder,
        "free_bytes": max(places.values()),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 1 << 32 else 32,
        "python": sys.executable,
        "version": platform.python_version(),
        "import_error": import_error(connection.folder, message["modules"]) if roomy else "",
    }


def free_bytes(place: str) -> int:
    """Free bytes of a folder; 0 if it cannot be written."""
    try:
        return shutil.disk_usage(place).free if os.access(place, os.W_OK | os.X_OK) else 0
    except OSError:
        return 0


def variables(folder: str) -> dict[str, str]:
    """Environment of a process that leaves no files outside the folder; ONNX Runtime's telemetry would, on import."""
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
    return {"ORT_DISABLE_TELEMETRY": "1", **os.environ, "PYTHONPATH": path, "TMPDIR": folder}


def import_error(folder: str, modules: list[str]) -> str:
    """Say why a Python here cannot import these modules; "" if it can."""
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    try:
        tried = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=variables(folder),
            timeout=PREPARE_S,
        )
    except subprocess.TimeoutExpired:
        return f"importing {', '.join(modules)} takes more than {PREPARE_S} s"
    lines = tried.stderr.strip().splitlines() or [f"exit code {tried.returncode}"]
    return lines[-1] if tried.returncode else ""


def compile_sources(folder: str) -> None:
    """Compile the sources once, so that the first measured process does not have to."""
    command = [sys.executable, "-m", "compileall", "-q", os.path.join(folder, "edgebert")]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=PREPARE_S)


def run_or_full(connection: Connection, message: Message) -> Message:
    """Run one job; `full` with the reason if the disk is full, `failed` if the folder is no longer the keeper's."""
    if not connection.is_own():
        return {"failed": MOVED}
    try:
        return run(connection, message)
    except OSError as error:
        if error.errno not in FULL:
            raise
        return {"full": error.strerror}


def run(connection: Connection, message: Message) -> Message:
    """Run one job in a fresh process.

    Returns:
        `document` and `spawned_ns` (this machine's monotonic clock just before the process started), or `failed`
        (`full` if its answer did not fit on the disk) with the last line of its error output, or `overtime`.
    """
    with contextlib.ExitStack() as opened:
        job, answer, complaint = (
            opened.enter_context(os.fdopen(connection.new(name), "w+", encoding="utf-8", errors=errors))
            for name, errors in (("job", "strict"), ("answer", "strict"), ("complaint", "replace"))
        )
        json.dump(message["job"], job)
        job.seek(0)
        spawned_ns = time.monotonic_ns()
        child = subprocess.Popen(
            [sys.executable, "-m", "edgebert.measure.child"],
            stdin=job,
            stdout=answer,
            stderr=complaint,
            cwd=connection.folder,
            env=variables(connection.folder),
            start_new_session=True,
        )
        if wait(connection, child, message["timeout_s"]):
            return {"overtime": True}
        if child.returncode:
            complaint.seek(0)
            lines = complaint.read().strip().splitlines() or [f"exit code {child.returncode}"]
            full = any(f"[Errno {number}]" in lines[-1] for number in FULL) or not free_bytes(connection.folder)
            return {"full" if full else "failed": lines[-1]}
        answer.seek(0)
        return {"document": json.load(answer), "spawned_ns": spawned_ns}


def wait(connection: Connection, child: subprocess.Popen[bytes], timeout_s: float) -> bool:
    """Wait for a process without using the processor; return whether it had to be stopped after `timeout_s`.

    Raises:
        Closed: The connection ended first; the process was stopped.
    """
    ended, late = {"op": "ended", "pid": child.pid}, {"op": "late", "pid": child.pid}

    def report() -> None:
        child.wait()
        connection.events.put(ended)

    threading.Thread(target=report, daemon=True).start()
    timer = threading.Timer(timeout_s, connection.events.put, [late])
    timer.daemon = True
    timer.start()
    overtime = False
    try:
        while (event := connection.next()) != ended:
            overtime = overtime or event == late
            if overtime:
                stop(child)
    finally:
        timer.cancel()
        stop(child)
    return overtime


def stop(child: subprocess.Popen[bytes]) -> None:
    """End a process and those that it started."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


if __name__ == "__main__":
    main()
