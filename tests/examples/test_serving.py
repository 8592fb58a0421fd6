"""`examples/serving`: a bundle over HTTP gives the model's answers, refuses overload, and shuts down cleanly."""

import asyncio
import configparser
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serving_example import ROOT, SERVE, Service, Unfinished, served, wait_until, write_core_bundle, write_pair_bundle
from small_bundle import write_small_bundle

import edgebert
from edgebert.errors import TextError
from edgebert.runtime.cores import core_count
from edgebert.runtime.sessions.core import unusable

for name in ("fastapi", "uvicorn", "prometheus_client"):
    pytest.importorskip(name, reason=f"{name} is not installed")

TEXTS = ["a", "b a", "a b b", "b b b b", "a a a a a a a a a a"]
LIMITS = ("--queue", "3", "--max-texts", "2", "--max-bytes", "1000", "--seconds", "60")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("serving") / "small")


@pytest.fixture(scope="module")
def service(small: Path) -> Iterator[Service]:
    with served(small, small.with_name("log"), *LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory, classifier_checkpoint: Path) -> Path:
    if reason := unusable():
        pytest.skip(reason)
    return write_core_bundle(classifier_checkpoint, tmp_path_factory.mktemp("serving-core") / "core")


def test_concurrent_requests_get_the_models_own_answers(core: Path) -> None:
    with edgebert.load(core) as model, served(core, core.with_name("log"), "--workers", "1") as service:
        expected = [model(text).to_dict() for text in TEXTS]
        with ThreadPoolExecutor(8) as callers:
            found = list(callers.map(service.predict, [{"text": text} for text in TEXTS * 8]))
        assert [(status, answer) for status, answer, _ in found] == [(200, answer) for answer in expected] * 8
        assert service.predict({"texts": TEXTS})[:2] == (200, expected)
        metrics = service.metrics()
        assert metrics['edgebert_requests_total{status="200"}'] == 41
        assert metrics["edgebert_request_seconds_count"] == 41
        assert metrics["edgebert_queue_texts"] == 0
        assert metrics["edgebert_batch_texts_sum"] == 45
        assert metrics["edgebert_batch_texts_count"] <= 41  # the five texts of the list ran together


def test_a_list_of_another_runtime_is_answered_text_by_text(service: Service, small: Path) -> None:
    with edgebert.load(small) as model:
        before = service.metrics()
        assert service.predict({"texts": TEXTS[:2]})[:2] == (200, [model(text).to_dict() for text in TEXTS[:2]])
        after = service.metrics()
    assert after["edgebert_batch_texts_count"] - before["edgebert_batch_texts_count"] == 2
    assert after['edgebert_batch_texts_bucket{le="1.0"}'] == after["edgebert_batch_texts_count"]


def test_pairs_are_answered(tmp_path: Path) -> None:
    bundle = write_pair_bundle(tmp_path / "pairs")
    with edgebert.load(bundle) as model, served(bundle, tmp_path / "log") as service:
        expected = [model((text, "b")).to_dict() for text in TEXTS]
        assert service.predict({"text": [TEXTS[0], "b"]})[:2] == (200, expected[0])
        assert service.predict({"texts": [[text, "b"] for text in TEXTS]})[:2] == (200, expected)
        status, answer, _ = service.predict({"text": "a"})
        assert (status, "this bundle compares pairs" in answer["detail"]) == (422, True)


@pytest.mark.parametrize("text", ["", "   ", ("a", "b")])
def test_a_bad_text_is_refused_with_the_models_message(text: Any, service: Service, small: Path) -> None:
    with edgebert.load(small) as model, pytest.raises(TextError) as refused:
        model(text)
    assert service.predict({"text": text})[:2] == (422, {"detail": str(refused.value)})
    detail = {"detail": f"text 2 of 2: {refused.value}"}
    assert service.predict({"texts": ["a", text]})[:2] == (422, detail)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 422, "body: Invalid JSON"),
        (b'{"text": "\\ud800"}', 422, "body: Invalid JSON"),
        (b'{"text": NaN}', 422, '; give {"text": TEXT} or'),
        (b"[" * 900, 422, "body: Invalid JSON"),
        (b'{"text": 1}', 422, "text.str: Input should be a valid string"),
        (b'{"text": ["a", "b", "c"]}', 422, "text"),
        (b'{"txt": "a"}', 422, "txt: Extra inputs are not permitted"),
        (b"{}", 422, 'give {"text": TEXT} or {"texts": [TEXT, ...]}'),
        (b'{"text": "a", "texts": ["a"]}', 422, 'give {"text": TEXT} or {"texts": [TEXT, ...]}'),
        (b'{"texts": ["a", "a", "a"]}', 422, "3 texts were given; give at most 2 in a request"),
        (b'{"text": "%s"}' % (b"a " * 1000), 413, "the body has more than 1000 bytes"),
    ],
)
def test_a_bad_body_is_refused_in_one_line(body: bytes, status: int, says: str, service: Service) -> None:
    found, answer, _ = service.ask("POST", "/predict", body)
    assert found == status
    assert says in answer["detail"]
    assert "\n" not in answer["detail"]


def test_an_empty_list_has_no_answers(service: Service) -> None:
    assert service.predict({"texts": []})[:2] == (200, [])


def test_what_does_not_fit_into_the_queue_is_refused_and_may_come_again(service: Service) -> None:
    workers = {"workers": core_count()}
    assert service.ask("GET", "/readyz")[1] == {"bundle": "small", "runtime": "onnxruntime", "threads": 1, **workers}
    waiting = [Unfinished(service, {"text": "a"}) for _ in range(2)]
    wait_until(lambda: service.metrics()["edgebert_queue_texts"] == 2)
    status, answer, headers = service.predict({"texts": ["a", "b"]})
    assert (status, headers["retry-after"]) == (503, "1")
    assert answer["detail"] == "the queue of 3 texts is full; try again later"
    waiting.append(Unfinished(service, {"text": "a"}))
    wait_until(lambda: service.metrics()["edgebert_queue_texts"] == 3)
    refused = service.metrics()['edgebert_requests_total{status="503"}']
    assert [service.ask("GET", path)[0] for path in ("/readyz", "/healthz")] == [503, 200]
    assert service.predict({"text": "a"})[0] == 503
    assert service.metrics()['edgebert_requests_total{status="503"}'] == refused + 1
    assert [request.finish()[0] for request in waiting] == [200] * 3
    assert service.predict({"texts": ["a", "b"]})[0] == service.ask("GET", "/readyz")[0] == 200


def test_a_body_that_does_not_arrive_gives_its_place_back(small: Path, tmp_path: Path) -> None:
    with served(small, tmp_path / "log", "--seconds", "0.2") as service:
        detail = {"detail": "the body did not arrive in 0.2 s"}
        assert Unfinished(service, {"text": "a"}).answer() == (408, detail)
        assert service.metrics()["edgebert_queue_texts"] == 0


def test_sigterm_lets_what_was_accepted_finish_and_takes_nothing_new(small: Path, tmp_path: Path) -> None:
    with edgebert.load(small) as model, served(small, tmp_path / "log", "--seconds", "60") as service:
        waiting = [Unfinished(service, {"text": text}) for text in TEXTS]
        wait_until(lambda: service.metrics()["edgebert_queue_texts"] == len(TEXTS))
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses_connections(service.port))
        assert [request.finish() for request in waiting] == [(200, model(text).to_dict()) for text in TEXTS]
        assert service.process.wait(60) in (0, -signal.SIGTERM)
    assert "Traceback" not in (tmp_path / "log").read_text()


def refuses_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_port_that_is_taken_is_refused_before_the_bundle_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, SERVE, "none", "--port", str(taken.getsockname()[1])]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1].endswith("Address already in use; give another")


def test_a_wrong_bundle_or_limit_is_refused_in_one_line(tmp_path: Path) -> None:
    for options, says in (
        (("none",), "none"),
        (("none", "--queue", "1"), "--max-texts 64 is more than --queue 1; give fewer"),
        (("none", "--seconds", "0"), "--seconds 0.0: give more than 0"),
        (("none", "--workers", "0"), "--workers 0: give at least 1"),
        (("none", "--port", "99999"), "--port 99999: give 1 to 65535, or 0 for a free one"),
    ):
        command = [sys.executable, SERVE, *options]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert (ran.returncode, ran.stdout) == (2, "")
        assert says in ran.stderr.splitlines()[-1]


class HeldModel:
    """A model whose runs wait until they are released; a text has one token per character."""

    def __init__(self, runtime: str) -> None:
        self.runtime, self.runs, self.go = runtime, list[list[str]](), threading.Event()
        self.facts = SimpleNamespace(name="held")
        self.task = SimpleNamespace(encode=lambda text: [SimpleNamespace(ids=text)])

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass

    def __call__(self, texts: Sequence[str], batch_size: int) -> list[Any]:
        self.runs.append(list(texts))
        assert self.go.wait(60)
        return [SimpleNamespace(to_dict=lambda text=text: {"text": text}) for text in texts]


@pytest.mark.parametrize(
    ("runtime", "runs"),
    [
        ("core", [["first"], ["aaaa", "bbb", "cc"], ["dddddd", "e"], ["f" * 20], ["g"]]),
        ("onnxruntime", [["first"], ["aaaa"], ["bbb"], ["cc"], ["dddddd"], ["e"], ["f" * 20], ["g"]]),
    ],
)
def test_requests_that_wait_run_together_by_tokens_on_the_core_alone(runtime: str, runs: list[list[str]]) -> None:
    from examples.serving.serve import Limits, Runner

    async def ask() -> list[Any]:
        runner = Runner(model, 1, Limits(batch_tokens=9))
        asked = []
        for text in ("first", "aaaa", "bbb", "gone", "cc", "dddddd", "e", "f" * 20, "g"):
            asked.append(asyncio.create_task(runner.answers([text])))
            while len(runner.waiting) < len(asked) - bool(model.runs):
                await asyncio.sleep(0.001)
        asked.pop(3).cancel()
        await asyncio.sleep(0)
        model.go.set()
        return await asyncio.gather(*asked)

    model: Any = HeldModel(runtime)
    answers = asyncio.run(ask())
    assert model.runs == runs
    assert answers == [[{"text": text}] for run in runs for text in run]


def test_a_text_whose_time_is_up_is_refused_and_never_run() -> None:
    import uvicorn

    from examples.serving.serve import Limits, create_app

    model: Any = HeldModel("core")
    server = uvicorn.Server(uvicorn.Config(create_app(model, 1, Limits(seconds=2)), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        service = Service(None, server.servers[0].sockets[0].getsockname()[1])
        with ThreadPoolExecutor(2) as callers:
            first = callers.submit(service.predict, {"text": "first"})
            wait_until(lambda: model.runs)
            second = callers.submit(service.predict, {"text": "second"})
        for status, answer, headers in (first.result(), second.result()):
            assert (status, headers["retry-after"]) == (503, "1")
            assert answer["detail"] == "no answer within 2 s; try again later"
        model.go.set()
        assert service.predict({"text": "third"})[:2] == (200, {"text": "third"})
        assert model.runs == [["first"], ["third"]]
    finally:
        model.go.set()
        server.should_exit = True
        thread.join()


def test_the_systemd_unit_is_sound(tmp_path: Path) -> None:
    unit = ROOT / "examples" / "serving" / "edgebert.service"
    reader = configparser.ConfigParser(interpolation=None)
    reader.optionxform = str  # type: ignore[assignment,method-assign]
    reader.read(unit)
    start = reader["Service"]["ExecStart"].split()
    assert Path(start[1]).name == SERVE.name
    assert int(reader["Service"]["TimeoutStopSec"]) > 20  # two times --seconds
    if not shutil.which("systemd-analyze"):
        return
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(start[0], sys.executable))
    command = ["systemd-analyze", "verify", "--recursive-errors=no", copy]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
