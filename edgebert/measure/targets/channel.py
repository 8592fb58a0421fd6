"""A running ssh that has the keeper at its other end: messages out, answers in, signs of life between them."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from edgebert.errors import RunError
from edgebert.measure.process import last_line
from edgebert.measure.targets import keeper

BEAT_S = 15.0
CLOSE_S = 20.0
BLOCK = 1 << 16


class Lost(Exception):
    """The connection has ended: ssh's exit code, and the last line that it or the far end complained with."""

    def __init__(self, code: int, complaint: str) -> None:
        super().__init__(complaint)
        self.code, self.complaint = code, complaint


def _answer(text: str) -> dict[str, Any]:
    """Parse an answer.

    Raises:
        RunError: It is no JSON object.
    """
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise RunError(f"the other machine answers {text.strip():.80}, which EdgeBERT never says; check the machine")
    return answer


class Channel:
    """One ssh process, in a session of its own so that a Ctrl-C here does not end it before it has tidied up."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it; the far end reads the keeper's source from its first line.

        Raises:
            FileNotFoundError: There is no ssh.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the channel
        self._noise = ""
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                start_new_session=True,
            )
        except OSError:
            self._errors.close()
            raise
        assert self._process.stdin is not None
        # Unbuffered pipes are raw files; only reading needs a buffer.
        self._in, self._out = self._process.stdin, io.BufferedReader(cast(io.FileIO, self._process.stdout))
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        with contextlib.suppress(OSError):  # an ssh that has ended already says why when it is asked
            self._write(json.dumps(Path(keeper.__file__).read_text(encoding="utf-8")).encode() + b"\n")
        self._thread.start()

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a message and wait for its answer.

        Raises:
            Lost: The connection has ended.
        """
        self.tell(message)
        for line in self._out:
            text = line.decode("utf-8", "replace")
            if text.startswith(keeper.MARK):
                self._noise = ""
                return _answer(text.removeprefix(keeper.MARK))
            self._noise = (self._noise + text)[-BLOCK:]
        raise self._lost()

    def tell(self, message: dict[str, Any], payload: Path | None = None) -> None:
        """Send a message, and a file behind it.

        Raises:
            Lost: The connection has ended.
        """
        try:
            with self._lock:
                self._write(json.dumps(message).encode() + b"\n")
                if payload is not None:
                    with payload.open("rb") as opened:
                        while block := opened.read(BLOCK):
                            self._write(block)
        except BrokenPipeError:
            raise self._lost() from None

    def close(self) -> int:
        """End the connection; the far end tidies up first. Returns ssh's exit code."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._in.close()
        code = self._exit_code()
        self._thread.join()
        self._out.close()
        self._errors.close()
        return code

    def _beat(self) -> None:
        """Say now and then that this end is alive: a far end that no longer hears it stops and tidies up."""
        while not self._over.wait(BEAT_S):
            with contextlib.suppress(OSError), self._lock:
                self._write(b'{"op": "beat"}\n')

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._in.write(view) or 0 :]

    def _exit_code(self) -> int:
        try:
            return self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _lost(self) -> Lost:
        code = self._exit_code()
        self._errors.seek(0)
        complaint = last_line(self._errors.read().decode("utf-8", "replace")) or last_line(self._noise)
        return Lost(code, complaint or f"exit code {code}")
