"""Many callers of one session: the number of simultaneous runs is limited, and all get answers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebert.errors import BundleError
from edgebert.measure.gemm import gemm_graph
from edgebert.runtime.session import CPU
from edgebert.runtime.sessions import onnxruntime as session_module
from edgebert.runtime.sessions.onnxruntime import RUNS_A_CORE, OnnxSession

WAIT_S = 10.0
BATCH = {"input_ids": np.ones((1, 4), np.int64), "attention_mask": np.ones((1, 4), np.int64)}


class Crowd:
    """Replaces ONNX Runtime's session: a run lasts until the gate opens; records simultaneous runs."""

    def __init__(self, enough: int) -> None:
        self.gate, self.full = threading.Event(), threading.Event()
        self.running = self.most = self.done = 0
        self._enough, self._lock = enough, threading.Lock()

    def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            if self.running >= self._enough:
                self.full.set()
        assert self.gate.wait(WAIT_S)
        with self._lock:
            self.running -= 1
            self.done += 1
        return [inputs["input_ids"]]


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnnxSession:
    """A session for two cores on any machine; its graph is not run."""
    monkeypatch.setattr(session_module, "core_count", lambda: 2)
    (tmp_path / "model.onnx").write_bytes(gemm_graph([np.ones((4, 4), np.float32)]))
    return OnnxSession(tmp_path / "model.onnx", 1, CPU)


def test_sixteen_callers_run_eight_at_a_time_on_two_cores(session: OnnxSession) -> None:
    session._session = crowd = Crowd(2 * RUNS_A_CORE)
    with ThreadPoolExecutor(16) as pool:
        answers = [pool.submit(session.run, BATCH) for _ in range(48)]
        assert crowd.full.wait(WAIT_S)
        # A ninth run would have started by now, even on a slow machine.
        assert not any(answer.done() for answer in answers)
        threading.Event().wait(0.1)
        assert crowd.running == 8
        crowd.gate.set()
        assert all(answer.result(WAIT_S)[0] is BATCH["input_ids"] for answer in answers)
    assert (crowd.most, crowd.done, crowd.running) == (8, 48, 0)


def test_a_run_that_fails_gives_its_turn_back(session: OnnxSession) -> None:
    class Failing:
        def run(self, names: None, inputs: dict[str, Any]) -> list[Any]:
            raise RuntimeError("no")

    session._session = Failing()
    for _ in range(2 * RUNS_A_CORE + 1):
        with pytest.raises(BundleError, match=r"cannot run the bundle.s graph \(no\)"):
            session.run(BATCH)
    session._session = crowd = Crowd(1)
    crowd.gate.set()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(session.run, BATCH).result(WAIT_S)
