"""ONNX Runtime on an NVIDIA GPU with CUDA graphs: the kernels for one input shape are recorded, then launched together.

A small encoder's kernels finish faster than a CPU can launch them one by one, so launching them as one graph saves
time.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgebert.errors import BundleError
from edgebert.runtime.padded import check_rows, padded_to_bucket
from edgebert.runtime.session import CUDA, Ids, Outputs
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession, run_error

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

# After this many shapes, or this many bytes of their inputs and outputs, new shapes run kernel by kernel. Otherwise a
# service with batches of all sizes, or with scores of a whole vocabulary as outputs, would fill the GPU's memory.
MOST_SHAPES = 64
MOST_BYTES = 256_000_000
# All of ONNX Runtime's attention kernels except cuDNN's (8), which needs 0.1 s of planning for every new shape and only
# helps batches: MiniLM in FP16 takes 0.33 ms with it and 0.31 without for one text of 128 tokens, and 0.66 and 0.85 for
# 32. Naming kernels also removes the minimum lengths that some have by default; FP32 was as fast either way.
ATTENTION_KERNELS = 1 | 2 | 4 | 16 | 32 | 64 | 128

# While one session records, no other one of this process may allocate GPU memory.
_TURN = threading.Lock()


class CudaGraphSession(OnnxSession):
    """ONNX Runtime with batches padded to a few lengths.

    A shape is recorded when it occurs for the second time.
    """

    def __init__(
        self,
        graph: Path,
        threads: int,
        length_buckets: Sequence[int],
        provider: str = CUDA,
        arena: bool = True,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        """Open a graph; the provider must have all of its operators.

        Args:
            graph: The `.onnx` file.
            threads: Threads inside one run.
            length_buckets: Ascending token lengths that batches are padded to.
            provider: CUDA. With the CPU provider the same arrays are bound and nothing is recorded.
            arena: Whether to keep freed CPU memory for the next run.
            provider_options: The provider's own options.

        Raises:
            BundleError: ONNX Runtime cannot open it, or would have to run an operator on the CPU.
            MissingDependencyError: The provider is not in this build of ONNX Runtime, or its libraries do not load.
        """
        recording = {"enable_cuda_graph": "1", "sdpa_kernel": str(ATTENTION_KERNELS)} if provider == CUDA else {}
        own = {**recording, **(provider_options or {})}
        super().__init__(graph, threads, provider, OnnxOptions(arena=arena, provider=own))
        self._device = "cuda" if provider == CUDA else "cpu"
        self._buckets = length_buckets
        self._shapes: dict[tuple[int, ...], _Shape | None] = {}
        self._bytes = 0
        self._opener = threading.get_ident()
        self._for_others = ThreadPoolExecutor(1, "edgebert-gpu")

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch; outputs with one row per token include rows for padding.

        Threads take turns. Calls from other threads than the one that opened the session run in a thread of the
        session: ONNX Runtime keeps recorded graphs for each thread and never frees them.

        Raises:
            TextError: A row is all padding.
        """
        check_rows(inputs)
        padded = padded_to_bucket(inputs, self._buckets)
        if threading.get_ident() == self._opener:
            return self._answer(padded)
        return self._for_others.submit(self._answer, padded).result()

    def _answer(self, inputs: dict[str, Ids]) -> Outputs:
        shape = next(iter(inputs.values())).shape
        with _TURN:
            if (known := self._shapes.get(shape)) is not None:
                try:
                    return known.run(inputs)
                except Exception as error:  # noqa: BLE001 - onnxruntime raises its own kinds, none of them public
                    warnings.warn(f"no CUDA graph for {shape}: {str(error).splitlines()[0]}", stacklevel=2)
                    self._shapes[shape] = None
            try:
                outputs = tuple(self._session.run(None, inputs, _run_options(-1)))
            except Exception as error:  # noqa: BLE001 - onnxruntime raises its own kinds, none of them public
                raise run_error(error) from None
            if shape not in self._shapes:
                self._shapes[shape] = self._prepared(inputs, outputs)
            return outputs

    def _prepared(self, inputs: dict[str, Ids], outputs: Outputs) -> _Shape | None:
        """Device arrays for a shape, to be recorded when it occurs again; None if there is no room."""
        size = sum(each.nbytes for each in inputs.values()) + sum(each.nbytes for each in outputs)
        if len(self._shapes) >= MOST_SHAPES or self._bytes + size > MOST_BYTES:
            return None
        self._bytes += size
        return _Shape(self._session, inputs, outputs, self._device, len(self._shapes) + 1)


def open_cuda(
    graph: Path, threads: int, length_buckets: Sequence[int], arena: bool, provider_options: Mapping[str, str]
) -> OnnxSession:
    """Open a session on the GPU, with CUDA graphs if possible.

    If ONNX Runtime cannot record the graph, it warns and opens one without.

    Raises:
        BundleError: ONNX Runtime cannot open the graph either way.
        MissingDependencyError: The provider is not in this build of ONNX Runtime, or its libraries do not load.
    """
    try:
        return CudaGraphSession(graph, threads, length_buckets, arena=arena, provider_options=provider_options)
    except BundleError as error:
        plain = OnnxSession(graph, threads, CUDA, OnnxOptions(arena=arena, provider=provider_options))
        warnings.warn(f"without CUDA graphs: {error}", stacklevel=2)
        return plain


class _Shape:
    """Device arrays of one shape, and the graph recorded with them."""

    def __init__(
        self,
        session: InferenceSession,
        inputs: dict[str, Ids],
        outputs: Outputs,
        device: str,
        number: int,
    ) -> None:
        import onnxruntime

        self._session, self._options, self._device = session, _run_options(number), device
        value = onnxruntime.OrtValue
        self._inputs = {name: value.ortvalue_from_numpy(each.copy(), device, 0) for name, each in inputs.items()}
        self._outputs = [value.ortvalue_from_shape_and_type(each.shape, each.dtype, device, 0) for each in outputs]
        self._binding = session.io_binding()
        for name, bound in self._inputs.items():
            self._binding.bind_ortvalue_input(name, bound)
        for described, bound in zip(session.get_outputs(), self._outputs, strict=True):
            self._binding.bind_ortvalue_output(described.name, bound)

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        for name, bound in self._inputs.items():
            bound.update_inplace(np.ascontiguousarray(inputs[name]))
        self._session.run_with_iobinding(self._binding, self._options)
        answers = tuple(bound.numpy() for bound in self._outputs)
        # On a CPU these arrays are the memory that the next run overwrites.
        return answers if self._device == "cuda" else tuple(each.copy() for each in answers)


def _run_options(number: int) -> RunOptions:
    """Options of a run that records or launches the graph with this number; -1 does neither."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options
