"""Serve one bundle over HTTP. Needs edgebert, fastapi, uvicorn and prometheus-client. Copy it and change it.

    python serve.py build/my --port 8000
    curl -s localhost:8000/predict -d '{"text": "a charming journey"}'

Texts that arrive while others run must wait. The native core then runs them together, because on it a batch never
changes an answer. On other runtimes it can (dynamic INT8 has one scale for all texts of a run), so each text runs
alone there.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

import edgebert
from edgebert.runtime.cores import core_count
from edgebert.runtime.model import Model

Text = str | tuple[str, str]
Answer = dict[str, Any]
FORM = 'give {"text": TEXT} or {"texts": [TEXT, ...]}; TEXT is a string, or a pair ["one", "two"]'
LATER = {"Retry-After": "1"}

REQUESTS = Counter("edgebert_requests", "Requests for predictions", ["status"])
SECONDS = Histogram("edgebert_request_seconds", "From a request's first line to its answer")
BATCH = Histogram("edgebert_batch_texts", "Texts that ran together", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
QUEUE = Gauge("edgebert_queue_texts", "Texts accepted and not yet answered")


class Question(BaseModel, extra="forbid"):
    """Body of a request: one text or several."""

    text: Text | None = None
    texts: list[Text] | None = None


@dataclass(frozen=True)
class Limits:
    """Limits of the service. It refuses requests above them, so that memory and waiting times stay bounded."""

    queue: int = 256
    max_texts: int = 64
    max_bytes: int = 1 << 20
    seconds: float = 10.0
    batch_tokens: int = 1024


@dataclass(eq=False)
class Job:
    """A text that waits for its answer."""

    text: Text
    tokens: int
    answer: asyncio.Future[Answer]


class Runner:
    """Runs texts in threads, in order of arrival. `waiting` has the texts that no thread has taken yet."""

    def __init__(self, model: Model, workers: int, limits: Limits) -> None:
        """Allow `workers` simultaneous runs of the model."""
        self._model, self._limits, self._free, self._accepted = model, limits, workers, 0
        self._runs_together = model.runtime == "core"
        self._pool = ThreadPoolExecutor(workers)
        self.waiting: deque[Job] = deque()

    @property
    def is_full(self) -> bool:
        """Return whether the queue is full, so that one more text would be refused."""
        return self._accepted >= self._limits.queue

    @contextmanager
    def places(self, count: int) -> Iterator[None]:
        """Reserve places in the queue. Refuse if too few are free."""
        if self._accepted + count > self._limits.queue:
            raise HTTPException(503, f"the queue of {self._limits.queue} texts is full; try again later", LATER)
        self._accepted += count
        QUEUE.set(self._accepted)
        try:
            yield
        finally:
            self._accepted -= count
            QUEUE.set(self._accepted)

    async def answers(self, texts: Sequence[Text]) -> list[Answer]:
        """Answer texts. Texts of several requests run together if the runtime allows it."""
        loop = asyncio.get_running_loop()
        counts = await loop.run_in_executor(None, self._tokens, texts)
        jobs = [Job(text, count, loop.create_future()) for text, count in zip(texts, counts, strict=True)]
        self.waiting += jobs
        self._start()
        return await asyncio.gather(*(job.answer for job in jobs))

    def _tokens(self, texts: Sequence[Text]) -> list[int]:
        """Count the tokens of each text first, so that a refused text does not fail a batch with other texts."""
        counts = []
        for number, text in enumerate(texts, 1):
            try:
                counts.append(sum(len(window.ids) for window in self._model.task.encode(text)))
            except edgebert.TextError as error:
                place = f"text {number} of {len(texts)}: " if len(texts) > 1 else ""
                raise HTTPException(422, f"{place}{error}") from None
        return counts

    def _start(self) -> None:
        """Start batches on free threads at once, without waiting until a batch is full."""
        while self._free and (batch := self._take()):
            self._free -= 1
            BATCH.observe(len(batch))
            run = asyncio.get_running_loop().run_in_executor(self._pool, self._run, [job.text for job in batch])
            run.add_done_callback(partial(self._finish, batch))

    def _take(self) -> list[Job]:
        """Take the next texts that run together, without those that have timed out."""
        batch: list[Job] = []
        tokens = 0
        while self.waiting:
            job = self.waiting[0]
            tokens += 0 if job.answer.done() else job.tokens
            if batch and (tokens > self._limits.batch_tokens or not self._runs_together):
                break
            self.waiting.popleft()
            batch += [] if job.answer.done() else [job]
        return batch

    def _run(self, texts: Sequence[Text]) -> list[Answer]:
        return [answer.to_dict() for answer in self._model(list(texts), batch_size=len(texts))]

    def _finish(self, batch: Sequence[Job], run: asyncio.Future[list[Answer]]) -> None:
        self._free += 1
        error = run.exception()
        for at, job in enumerate(batch):
            if job.answer.done():
                continue
            if error:
                job.answer.set_exception(error)
            else:
                job.answer.set_result(run.result()[at])
        self._start()


async def read_texts(request: Request, limits: Limits) -> tuple[list[Text], bool]:
    """Read the texts of a request, and whether the response must be a list."""
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for part in request.stream():
                body += part
                if len(body) > limits.max_bytes:
                    raise HTTPException(
                        413, f"the body has more than {limits.max_bytes} bytes", {"Connection": "close"}
                    )
    except (TimeoutError, ClientDisconnect):
        raise HTTPException(408, f"the body did not arrive in {limits.seconds} s", {"Connection": "close"}) from None
    try:
        question = Question.model_validate_json(bytes(body))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise HTTPException(422, f"{place}: {first['msg']}; {FORM}") from None
    if (question.text is None) == (question.texts is None):
        raise HTTPException(422, FORM)
    texts = [question.text] if question.text is not None else question.texts or []
    if len(texts) > limits.max_texts:
        raise HTTPException(422, f"{len(texts)} texts were given; give at most {limits.max_texts} in a request")
    return texts, question.texts is not None


def create_app(model: Model, workers: int, limits: Limits) -> FastAPI:
    """Make the service."""
    runner = Runner(model, workers, limits)

    @asynccontextmanager
    async def closed_at_the_end(app: FastAPI) -> AsyncIterator[None]:
        with model:
            yield

    app = FastAPI(title=f"EdgeBERT {model.facts.name}", lifespan=closed_at_the_end, docs_url=None, redoc_url=None)
    schema = {"required": True, "content": {"application/json": {"schema": Question.model_json_schema()}}}

    @app.post("/predict", openapi_extra={"requestBody": schema})
    async def predict(request: Request) -> Response:
        started, status = time.perf_counter(), 500
        try:
            with runner.places(1):
                texts, is_list = await read_texts(request, limits)
                with runner.places(max(0, len(texts) - 1)):
                    async with asyncio.timeout(limits.seconds):
                        answers = await runner.answers(texts)
            status = 200
            return JSONResponse(answers if is_list else answers[0])
        except TimeoutError:
            status = 503
            raise HTTPException(status, f"no answer within {limits.seconds} s; try again later", LATER) from None
        except HTTPException as error:
            status = error.status_code
            raise
        finally:
            REQUESTS.labels(status).inc()
            SECONDS.observe(time.perf_counter() - started)

    @app.get("/healthz")
    async def healthz() -> Answer:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> Answer:
        if runner.is_full:
            raise HTTPException(503, "the queue is full", LATER)
        return {"bundle": model.facts.name, "runtime": model.runtime, "threads": model.threads, "workers": workers}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


def main() -> int:
    """Serve until SIGTERM or Ctrl-C, then finish the accepted requests."""
    parser = argparse.ArgumentParser(description="Answer texts over HTTP with one bundle.")
    parser.add_argument("bundle")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--runtime", help="default: the bundle's")
    parser.add_argument("--threads", type=int, help="threads of one run; default: the profile's")
    parser.add_argument("--workers", type=int, help="runs at a time; default: cores / threads")
    for name, default in vars(Limits()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=f"{default}")
    given = vars(parser.parse_args())
    limits = Limits(**{name: given[name] for name in vars(Limits())})
    for name, value in vars(limits).items():
        if not value > 0:
            parser.error(f"--{name.replace('_', '-')} {value}: give more than 0")
    if limits.max_texts > limits.queue:
        parser.error(f"--max-texts {limits.max_texts} is more than --queue {limits.queue}; give fewer")
    if given["workers"] is not None and given["workers"] < 1:
        parser.error(f"--workers {given['workers']}: give at least 1")
    if not 0 <= given["port"] < 65536:
        parser.error(f"--port {given['port']}: give 1 to 65535, or 0 for a free one")
    try:
        check_port(given["host"], given["port"])
    except OSError as error:
        reason = str(error.strerror or error).partition(" (while")[0]
        parser.error(f"--host {given['host']} --port {given['port']}: {reason}; give another")
    try:
        model = edgebert.load(given["bundle"], runtime=given["runtime"], threads=given["threads"])
    except edgebert.EdgeBertError as error:
        print(error, file=sys.stderr)
        return 2
    workers = given["workers"] or max(1, core_count() // model.threads)
    stop = 1 + int(2 * limits.seconds)
    app = create_app(model, workers, limits)
    uvicorn.run(app, host=given["host"], port=given["port"], access_log=False, timeout_graceful_shutdown=stop)
    return 0


def check_port(host: str, port: int) -> None:
    """Open the port and close it again, so that a taken one is refused before the bundle is loaded.

    Raises:
        OSError: Another process has it, or the machine has no such address.
    """
    family, *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    socket.create_server((host, port), family=family).close()


if __name__ == "__main__":
    sys.exit(main())
