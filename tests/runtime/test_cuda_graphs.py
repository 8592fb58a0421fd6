"""The session for a GPU, run on the CPU: it binds and pads the same arrays; only the recording is missing."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgebert.bundle import read_manifest
from edgebert.errors import BundleError, MissingDependencyError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.load import opening_of
from edgebert.runtime.session import CPU, CUDA, Outputs
from edgebert.runtime.sessions import cuda_graphs
from edgebert.runtime.sessions import onnxruntime as sessions
from edgebert.runtime.sessions.cuda_graphs import CudaGraphSession, open_cuda
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession
from edgebert.runtimes import ONNXRUNTIME

Batch = dict[str, np.ndarray]


def batch(size: int, length: int, seed: int) -> Batch:
    random = np.random.default_rng(seed)
    ids = random.integers(5, 40, (size, length))
    mask = (np.arange(length) < random.integers(1, length + 1, (size, 1))).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask}


def test_answers_are_the_plain_sessions_whatever_comes_again(classifier_graph: Path) -> None:
    ours, plain = CudaGraphSession(classifier_graph, 1, [8, 16, 32], CPU), OnnxSession(classifier_graph, 1, CPU)
    for seed, (size, length) in enumerate([(1, 1), (3, 5), (3, 8), (1, 9), (3, 5), (3, 7), (1, 32), (1, 1), (3, 5)]):
        given = batch(size, length, seed)
        assert np.abs(ours.run(given)[0] - plain.run(given)[0]).max() <= 1e-6


def test_an_answer_stays_when_the_next_one_is_written(classifier_graph: Path) -> None:
    session = CudaGraphSession(classifier_graph, 1, [8], CPU)
    first, second = batch(2, 8, 1), batch(2, 8, 2)
    session.run(first)
    kept = session.run(first)[0]
    as_it_was = kept.copy()
    assert not np.allclose(session.run(second)[0], as_it_was)
    assert (kept == as_it_was).all()


def test_threads_get_their_own_answers(classifier_graph: Path) -> None:
    session, plain = CudaGraphSession(classifier_graph, 1, [8, 16], CPU), OnnxSession(classifier_graph, 1, CPU)
    given = [batch(2, length, length) for length in (4, 7, 12, 16)] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: session.run(each)[0], given))
    found += [session.run(each)[0] for each in given]
    for each, answer in zip(given * 2, found, strict=True):
        assert np.abs(answer - plain.run(each)[0]).max() <= 1e-6


def test_no_more_than_two_threads_ever_run_it(classifier_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session, ran = CudaGraphSession(classifier_graph, 1, [8], CPU), set()
    answer = session._answer

    def noted(inputs: Batch) -> Outputs:
        ran.add(threading.get_ident())
        return answer(inputs)

    monkeypatch.setattr(session, "_answer", noted)
    given = batch(1, 8, 0)
    session.run(given)
    for _ in range(5):
        caller = threading.Thread(target=session.run, args=(given,))
        caller.start()
        caller.join()
    assert len(ran) == 2
    assert threading.get_ident() in ran


def test_an_error_in_another_thread_comes_back_to_it(classifier_graph: Path) -> None:
    session = CudaGraphSession(classifier_graph, 1, [8], CPU)
    with ThreadPoolExecutor(1) as pool, pytest.raises(Exception, match="no_such_input"):
        pool.submit(session.run, {"no_such_input": np.ones((1, 8), np.int64)}).result()


@pytest.mark.parametrize(("limit", "value", "kept"), [("MOST_SHAPES", 2, 2), ("MOST_BYTES", 410, 2)])
def test_shapes_beyond_the_most_are_answered_all_the_same(
    classifier_graph: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, kept: int
) -> None:
    monkeypatch.setattr(cuda_graphs, limit, value)
    session, plain = CudaGraphSession(classifier_graph, 1, [8], CPU), OnnxSession(classifier_graph, 1, CPU)
    for size in (1, 2, 3, 4, 3, 1):
        given = batch(size, 6, size)
        assert np.abs(session.run(given)[0] - plain.run(given)[0]).max() <= 1e-6
    assert sum(shape is not None for shape in session._shapes.values()) == kept


def test_a_shape_that_cannot_be_recorded_is_answered_with_a_warning_and_not_tried_again(
    classifier_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, inputs: Batch) -> Outputs:
        raise RuntimeError("out of memory\nand more")

    monkeypatch.setattr(cuda_graphs._Shape, "run", fail)
    session, plain = CudaGraphSession(classifier_graph, 1, [8], CPU), OnnxSession(classifier_graph, 1, CPU)
    given = batch(1, 6, 1)
    session.run(given)
    with pytest.warns(UserWarning, match=r"no CUDA graph for \(1, 8\): out of memory$"):
        answer = session.run(given)[0]
    for found in (answer, session.run(given)[0]):
        assert np.abs(found - plain.run(given)[0]).max() <= 1e-6


def test_the_buckets_bound_the_shapes(classifier_graph: Path) -> None:
    session = CudaGraphSession(classifier_graph, 1, [8, 16], CPU)
    for length in range(1, 17):
        session.run(batch(1, length, length))
    assert sorted(session._shapes) == [(1, 8), (1, 16)]


def test_a_graph_that_cannot_be_recorded_is_opened_without_and_a_warning_says_so(
    classifier_graph: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = OnnxSession.__init__

    def on_the_cpu(self: OnnxSession, path: Path, threads: int, provider: str, options: OnnxOptions) -> None:
        assert provider == CUDA
        if options.provider:
            raise BundleError("an operator is left to the CPU")
        opened(self, path, threads, CPU, options)

    monkeypatch.setattr(OnnxSession, "__init__", on_the_cpu)
    with pytest.warns(UserWarning, match="without CUDA graphs: an operator is left to the CPU"):
        session = open_cuda(classifier_graph, 1, [8], arena=True, provider_options={})
    assert type(session) is OnnxSession
    assert session.run(batch(1, 5, 0))[0].shape == (1, 2)


def test_without_the_provider_it_says_so(classifier_graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    with pytest.raises(MissingDependencyError, match="CUDAExecutionProvider is not in this onnxruntime"):
        open_cuda(classifier_graph, 1, [8], arena=True, provider_options={})


@pytest.mark.parametrize(("folder", "recorded"), [("bundle", True), ("0-baseline", False)])
def test_on_a_gpu_bundles_are_recorded_and_their_baseline_is_not(
    folder: str, recorded: bool, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = built if folder == "bundle" else built.with_name(built.name + ".stages") / folder
    said: list[str] = []

    class Plain:
        batching = ANY_LENGTHS

        def __init__(self, *given: object) -> None:
            said.append("plain")

    monkeypatch.setattr(cuda_graphs, "open_cuda", lambda *given: said.append("recorded"))
    monkeypatch.setattr(sessions, "OnnxSession", Plain)
    opening = opening_of(path, read_manifest(path), "onnxruntime", 1, provider=(CUDA, {}))
    ONNXRUNTIME.open(opening)
    ONNXRUNTIME.open_profiled(opening, path)
    assert said == ["recorded" if recorded else "plain", "plain"]
