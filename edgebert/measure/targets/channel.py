"""A running ssh connection to the keeper: messages out, answers in, heartbeats between them."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from edgebert.errors import InputError, TargetError
from edgebert.measure.process import last_line
from edgebert.measure.targets import keeper
from edgebert.strict_json import Json, parse_json

BEAT_S = 15.0
# The keeper answers every heartbeat that it receives, and gets one every BEAT_S.
PATIENCE_S = 120.0
# Time allowed for an answer beyond the work itself: imports on a slow board, a long answer on a slow connection.
MARGIN_S = 600.0
# Time allowed until the program there reports that it runs: logging in, a login script, a start on a slow board.
START_S = 60.0
CLOSE_S = 20.0
BLOCK = 1 << 16
MAX_LINE = 128 << 20


class Lost(Exception):
    """The connection has ended: ssh's exit code, and the last error line of ssh or the other machine."""

    def __init__(self, code: int, complaint: str) -> None:
        super().__init__(complaint)
        self.code, self.complaint = code, complaint[:300]


def _answer(name: str, text: str) -> dict[str, Json]:
    """Parse an answer.

    Raises:
        TargetError: It is not a strict JSON object (`edgebert.strict_json`); NaN is allowed, since a broken model may
            return it.
    """
    reason = ""
    try:
        answer = parse_json(text, finite=False)
    except json.JSONDecodeError:
        answer = None
    except ValueError as error:
        answer, reason = None, f" ({error})"
    if not isinstance(answer, dict):
        raise TargetError(
            f"{name}: the machine sent {text.strip():.80}{reason}, which is not an answer of EdgeBERT; check the "
            f"machine"
        )
    return answer


class Channel:
    """One ssh process, in a session of its own, so that Ctrl-C here does not end it before it has cleaned up."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        """Start ssh; the other machine reads the keeper's source from its first line of input.

        Args:
            name: Name of the target, for messages.
            command: The ssh command line.

        Raises:
            FileNotFoundError: ssh is not installed.
        """
        self._name, self._noise, self._left = name, "", bytearray()
        self.has_started = self.was_lost = False
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        for end in (self._in, self._out):
            os.set_blocking(end.fileno(), False)
        self._errors = _Tail(self._process.stderr)
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        with contextlib.suppress(OSError):  # an ssh that has ended already says why when it is asked
            self._write(json.dumps(Path(keeper.__file__).read_text(encoding="utf-8")).encode() + b"\n")
        self._thread.start()

    def ask(self, message: dict[str, Json], work_s: float = 0) -> dict[str, Json]:
        """Send a message, and wait for its answer.

        Args:
            message: The request.
            work_s: Seconds that the work itself may take. The answer must come within `work_s` plus `MARGIN_S`, and the
                first heartbeat within `START_S`.

        Raises:
            Lost: The connection has ended.
            TargetError: No heartbeat for `PATIENCE_S`, no answer in time, or an answer that is too long or not JSON.
        """
        self.tell(message)
        asked = time.monotonic()
        while True:
            limit_s = work_s + MARGIN_S if self.has_started else START_S
            if (line := self._line(asked + limit_s, limit_s)) is None:
                break
            text = line.decode("utf-8", "replace")
            if not text.startswith(keeper.MARK):
                self._noise = (self._noise + text)[-BLOCK:]
                continue
            self.has_started = True
            if "beat" not in (answer := _answer(self._name, text.removeprefix(keeper.MARK))):
                self._noise = ""
                return answer
        raise self._lost()

    def tell(self, message: dict[str, Json], payload: Path | None = None, size: int = 0) -> None:
        """Send a message, followed by a file of this many bytes.

        Raises:
            Lost: The connection has ended.
            TargetError: The other machine reads nothing for `PATIENCE_S`.
            InputError: The file has become shorter.
        """
        try:
            with self._lock:
                self._write(json.dumps(message).encode() + b"\n")
                if payload is not None:
                    self._send(payload, size)
        except BrokenPipeError:
            raise self._lost() from None

    def close(self) -> int:
        """End the connection; the other machine cleans up first. Returns ssh's exit code."""
        self._over.set()
        if self._lock.acquire(timeout=1):
            with contextlib.suppress(OSError):
                self._in.close()
            self._lock.release()
        else:  # a sign of life that the far end does not take
            self._kill()
        code = self._exit_code()
        self._thread.join()
        self._errors.text()
        for end in (self._in, self._out):
            with contextlib.suppress(OSError):
                end.close()
        return code

    def _beat(self) -> None:
        """Send regular heartbeats: if they stop, the other machine ends and cleans up."""
        while not self._over.wait(BEAT_S):
            with contextlib.suppress(OSError, ValueError, TargetError), self._lock:
                self._write(b'{"op": "beat"}\n')

    def _send(self, payload: Path, size: int) -> None:
        with payload.open("rb") as opened:
            while size:
                block = opened.read(min(BLOCK, size))
                if not block:
                    raise InputError(f"{payload}: became shorter while it was copied; run the same command again")
                self._write(block)
                size -= len(block)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if not _ready(self._in, selectors.EVENT_WRITE, PATIENCE_S):
                raise self._stuck(f"has read nothing for {PATIENCE_S:.0f} s")
            view = view[self._in.write(view) or 0 :]

    def _line(self, end: float, limit_s: float) -> bytes | None:
        """Read the next line, with its end; None once the connection has ended."""
        looked = 0
        while (at := self._left.find(b"\n", looked)) < 0:
            looked = len(self._left)
            if looked > MAX_LINE:
                raise TargetError(
                    f"{self._name}: the machine sent a line of more than {MAX_LINE / 1e6:.0f} MB; check what "
                    "its login scripts write, or measure fewer texts"
                )
            block = self._block(end, limit_s)
            if not block:
                self._noise = (self._noise + self._left[-BLOCK:].decode("utf-8", "replace"))[-BLOCK:]
                return None
            self._left += block
        line = bytes(self._left[: at + 1])
        del self._left[: at + 1]
        return line

    def _block(self, end: float, limit_s: float) -> bytes:
        left_s = end - time.monotonic()
        if left_s > 0 and _ready(self._out, selectors.EVENT_READ, min(left_s, PATIENCE_S)):
            return os.read(self._out.fileno(), BLOCK)
        silent = left_s > PATIENCE_S
        if not self.has_started:
            raise TargetError(
                f"{self._name}: EdgeBERT's program has not started there within {min(limit_s, PATIENCE_S):.0f} s; "
                "check that the machine is not stuck and that its login scripts end, then run the same command again"
            )
        what = f"has sent no heartbeat for {PATIENCE_S:.0f} s" if silent else f"has not answered within {limit_s:.0f} s"
        raise self._stuck(what)

    def _stuck(self, what: str) -> TargetError:
        return TargetError(
            f"{self._name}: the machine {what}; check that it is not stuck, then run the same command again"
        )

    def _kill(self) -> None:
        """End ssh and the processes that it started (a ProxyCommand)."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _exit_code(self) -> int:
        try:
            return self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._kill()
            return self._process.wait()

    def _lost(self) -> Lost:
        code, self.was_lost = self._exit_code(), True
        complaint = last_line(self._errors.text()) or last_line(self._noise)
        return Lost(code, complaint or f"exit code {code}")


class _Tail:
    """Read a pipe in a separate thread, and keep the last bytes."""

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe, self._kept = pipe, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            while block := self._pipe.read(BLOCK):
                self._kept = (self._kept + block)[-BLOCK:]

    def text(self) -> str:
        """The last bytes written, once the other end has closed the pipe."""
        self._thread.join(1)
        return self._kept.decode("utf-8", "replace")


def _ready(end: IO[bytes], event: int, wait_s: float) -> bool:
    """Wait until a pipe can be read or written, with a time limit; a closed one can."""
    with selectors.DefaultSelector() as selector:
        selector.register(end, event)
        return bool(selector.select(wait_s))
