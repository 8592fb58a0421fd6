"""Bundles for the service of `examples/serving`, and the service in its own process."""

import http.client
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from c_example import write_model
from small_bundle import write_small_bundle
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from edgebert.bundle import read_document, write_manifest

ROOT = Path(__file__).resolve().parents[1]
SERVE = ROOT / "examples" / "serving" / "serve.py"
Answered = tuple[int, Any, http.client.HTTPMessage]


def write_core_bundle(checkpoint: Path, folder: Path) -> Path:
    """The small bundle with a model file of the native core instead of its graph."""
    write_small_bundle(folder)
    (folder / "model.onnx").unlink()
    write_model(checkpoint, "text-classification", folder / "core.bin", 8)
    write_manifest(folder, {**read_document(folder), "runtime": {"default": "core", "graphs": {"core": "core.bin"}}})
    return folder


def write_pair_bundle(folder: Path) -> Path:
    """The small bundle for pairs."""
    write_small_bundle(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special, pair = [("[CLS]", 1), ("[SEP]", 2)], "[CLS] $A [SEP] $B [SEP]"
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", pair=pair, special_tokens=special)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_manifest(folder, {**read_document(folder), "segments": 2})
    return folder


class Service:
    """A running service on a free port of the loopback."""

    def __init__(self, process: subprocess.Popen[bytes] | None, port: int) -> None:
        self.process, self.port = process, port

    def ask(self, method: str, path: str, body: bytes | None = None) -> Answered:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body)
        answer = connection.getresponse()
        read = answer.read()
        connection.close()
        is_json = answer.headers["content-type"] == "application/json"
        return answer.status, json.loads(read) if is_json else read.decode(), answer.headers

    def predict(self, question: object) -> Answered:
        return self.ask("POST", "/predict", json.dumps(question).encode())

    def metrics(self) -> dict[str, float]:
        lines = self.ask("GET", "/metrics")[1].splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if line.startswith("edgebert_")]
        return {name: float(value) for name, value in pairs}


class Unfinished:
    """A request whose body has not arrived yet: it occupies a place in the queue."""

    def __init__(self, service: Service, question: object) -> None:
        self._body = json.dumps(question).encode()
        self._socket = socket.create_connection(("127.0.0.1", service.port), timeout=60)
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(self._body)}\r\n\r\n"
        self._socket.sendall(head.encode() + self._body[:5])

    def finish(self) -> tuple[int, Any]:
        self._socket.sendall(self._body[5:])
        return self.answer()

    def answer(self) -> tuple[int, Any]:
        answer = http.client.HTTPResponse(self._socket)
        answer.begin()
        found = answer.status, json.loads(answer.read())
        self._socket.close()
        return found


def wait_until(holds: Any, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextmanager
def served(bundle: Path, log: Path, *options: str) -> Iterator[Service]:
    """Start the service and yield it once it listens; stop it at the end."""
    command = [sys.executable, str(SERVE), str(bundle), "--port", "0", *options]
    with log.open("wb") as errors, subprocess.Popen(command, cwd=ROOT, stderr=errors, stdout=errors) as process:
        try:
            wait_until(lambda: process.poll() is not None or "running on" in log.read_text())
            found = re.search(r"running on http://127\.0\.0\.1:(\d+)", log.read_text())
            assert found, log.read_text()
            yield Service(process, int(found[1]))
        finally:
            process.kill()
