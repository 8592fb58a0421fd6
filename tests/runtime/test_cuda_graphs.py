"""The session for a GPU, on the CPU: the same arrays are bound and padded, and only the recording is missing."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgebert.compress import checkpoint
from edgebert.compress.tasks import text_classification as half
from edgebert.errors import MissingDependencyError
from edgebert.exporters.onnx import export_fast
from edgebert.runtime import cuda_graphs
from edgebert.runtime.cuda_graphs import CudaGraphSession, open_cuda
from edgebert.runtime.session import CPU, OnnxSession

Batch = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def graph(classifier_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    path = tmp_path_factory.mktemp("graph") / "model.onnx"
    export_fast(model, half, ["logits"], 1, 32, path)
    return path


def batch(size: int, length: int, seed: int) -> Batch:
    random = np.random.default_rng(seed)
    ids = random.integers(5, 40, (size, length))
    mask = (np.arange(length) < random.integers(1, length + 1, (size, 1))).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask}


def test_answers_are_the_plain_sessions_whatever_comes_again(graph: Path) -> None:
    ours, plain = CudaGraphSession(graph, 1, [8, 16, 32], CPU), OnnxSession(graph, 1, CPU)
    for seed, (size, length) in enumerate([(1, 1), (3, 5), (3, 8), (1, 9), (3, 5), (3, 7), (1, 32), (1, 1), (3, 5)]):
        given = batch(size, length, seed)
        assert np.abs(ours.run(given)[0] - plain.run(given)[0]).max() <= 1e-6


def test_an_answer_stays_when_the_next_one_is_written(graph: Path) -> None:
    session = CudaGraphSession(graph, 1, [8], CPU)
    first, second = batch(2, 8, 1), batch(2, 8, 2)
    session.run(first)
    kept = session.run(first)[0]
    as_it_was = kept.copy()
    assert not np.allclose(session.run(second)[0], as_it_was)
    assert (kept == as_it_was).all()


def test_threads_get_their_own_answers(graph: Path) -> None:
    session, plain = CudaGraphSession(graph, 1, [8, 16], CPU), OnnxSession(graph, 1, CPU)
    given = [batch(2, length, length) for length in (4, 7, 12, 16)] * 20
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: session.run(each)[0], given))
    for each, answer in zip(given, found, strict=True):
        assert np.abs(answer - plain.run(each)[0]).max() <= 1e-6


def test_shapes_beyond_the_most_are_answered_all_the_same(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MOST_SHAPES", 2)
    session, plain = CudaGraphSession(graph, 1, [8], CPU), OnnxSession(graph, 1, CPU)
    for size in (1, 2, 3, 4, 3, 1):
        given = batch(size, 6, size)
        assert np.abs(session.run(given)[0] - plain.run(given)[0]).max() <= 1e-6
    assert len(session._shapes) == 2


def test_the_buckets_bound_the_shapes(graph: Path) -> None:
    session = CudaGraphSession(graph, 1, [8, 16], CPU)
    for length in range(1, 17):
        session.run(batch(1, length, length))
    assert sorted(session._shapes) == [(1, 8), (1, 16)]


def test_without_the_provider_it_says_so(graph: Path) -> None:
    with pytest.raises(MissingDependencyError, match="CUDAExecutionProvider is not in this onnxruntime"):
        open_cuda(graph, 1, [8], arena=True, provider_options={})
