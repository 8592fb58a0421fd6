"""ONNX Runtime with its defaults on one thread. Caches stay ONNX Runtime values between steps, without copies to numpy.

`torch_runtime` describes the interface of a runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.architectures import models
from bench.architectures.jobs import Job
from bench.architectures.torch_runtime import Answer


def open_model(architecture: str, folder: Path, job: Job, threads: int = 1) -> Answer:
    """Open the graphs for a job."""
    if architecture == models.ENCODER:
        return _encoder(_session(folder / f"{'tag' if job.tags else 'classify'}.onnx", threads))
    if architecture == models.DECODER:
        return _decoder(_session(folder / "decoder.onnx", threads))
    return _encoder_decoder(*(_session(folder / f"{name}.onnx", threads) for name in ("encode", "step")))


def _session(graph: Path, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _value(array: np.ndarray) -> Any:
    from onnxruntime import OrtValue

    return OrtValue.ortvalue_from_numpy(array)


def _encoder(session: Any) -> Answer:
    def answer(
        ids: np.ndarray, job: Job, mark: Callable[[], None], logits: list[np.ndarray] | None = None
    ) -> list[int]:
        length = ids.shape[1]
        segments = (np.arange(length) * job.segments // length)[None]
        (scores,) = session.run(None, {"input_ids": ids, "token_type_ids": segments})
        labels = scores.argmax(-1).reshape(-1).tolist()
        mark()
        if logits is not None:
            logits.append(scores)
        return labels

    return answer


def _decoder(session: Any) -> Answer:
    cache = _Cache(session)

    def answer(
        ids: np.ndarray, job: Job, mark: Callable[[], None], logits: list[np.ndarray] | None = None
    ) -> list[int]:
        return _greedy(cache, {}, ids, job, mark, logits)

    return answer


def _encoder_decoder(encode: Any, step: Any) -> Answer:
    cache, names = _Cache(step), [each.name for each in encode.get_outputs()]

    def answer(
        ids: np.ndarray, job: Job, mark: Callable[[], None], logits: list[np.ndarray] | None = None
    ) -> list[int]:
        crossed = encode.run_with_ort_values(names, {"input_ids": _value(ids)})
        cross = dict(zip(names, crossed, strict=True))
        return _greedy(cache, cross, np.zeros((1, 1), np.int64), job, mark, logits)

    return answer


class _Cache:
    """A graph with a cache: the names of the cache's tensors, and an empty cache."""

    def __init__(self, session: Any) -> None:
        self.session = session
        past = [each for each in session.get_inputs() if each.name.startswith("past.")]
        self.inputs, self.outputs = [each.name for each in past], [each.name for each in session.get_outputs()]
        _, heads, _, width = past[0].shape
        self.empty = [_value(np.zeros((1, heads, 0, width), np.float32)) for _ in past]


def _greedy(
    cache: _Cache,
    cross: dict[str, Any],
    first: np.ndarray,
    job: Job,
    mark: Callable[[], None],
    logits: list[np.ndarray] | None,
) -> list[int]:
    """Generate greedily: take the most likely token until the job has all its tokens."""
    past, token, labels = cache.empty, first, []
    for _ in range(job.generated):
        given = {"input_ids": _value(token), **dict(zip(cache.inputs, past, strict=True)), **cross}
        found, *past = cache.session.run_with_ort_values(cache.outputs, given)
        scores = found.numpy()
        token = scores.argmax(-1).reshape(1, 1)
        labels.append(int(token[0, 0]))
        mark()
        if logits is not None:
            logits.append(scores)
    return labels
