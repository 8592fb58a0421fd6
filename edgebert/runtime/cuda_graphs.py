"""ONNX Runtime on an NVIDIA GPU with CUDA graphs: the kernels of a shape are recorded once, then launched together.

A small encoder's kernels are done sooner than a CPU can launch them one by one; launched as one graph they are not.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgebert.errors import BundleError
from edgebert.runtime.session import CUDA, Ids, OnnxSession, Outputs, padded_to_bucket

# A service whose batches are of every size must not record for ever; what comes after these runs kernel by kernel.
MOST_SHAPES = 64


# Of ONNX Runtime's kernels for attention all but cuDNN's (8), which plans for 0.1 s at every new shape and gains in
# batches only: MiniLM in FP16 takes 0.33 ms with it and 0.31 without for one text of 128 tokens, 0.66 and 0.85 for 32.
ATTENTION_KERNELS = 1 | 2 | 4 | 16 | 32 | 64 | 128


class CudaGraphSession(OnnxSession):
    """ONNX Runtime, with batches padded to a few lengths and every shape of them recorded when it first comes."""

    def __init__(
        self,
        graph: Path,
        threads: int,
        length_buckets: Sequence[int],
        provider: str = CUDA,
        arena: bool = True,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        """Open a graph whose operators the provider has all.

        Args:
            graph: The `.onnx` file.
            threads: Threads inside one run.
            length_buckets: Rising token lengths that batches are padded to.
            provider: CUDA; on the CPU the same arrays are bound and nothing is recorded.
            arena: Keep freed memory of the CPU for the next run.
            provider_options: The provider's own options.

        Raises:
            BundleError: ONNX Runtime cannot open it, or would have to leave an operator to the CPU.
            MissingDependencyError: The provider is not in this build of ONNX Runtime, or its libraries do not load.
        """
        recording = {"enable_cuda_graph": "1", "sdpa_kernel": str(ATTENTION_KERNELS)} if provider == CUDA else {}
        super().__init__(
            graph, threads, provider, arena=arena, provider_options={**recording, **(provider_options or {})}
        )
        self._device = "cuda" if provider == CUDA else "cpu"
        self._buckets = length_buckets
        self._shapes: dict[tuple[int, ...], _Shape] = {}
        self._turn = threading.Lock()

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch; those with a row a token have rows for the padding too.

        Threads take turns: a recorded shape reads and writes the same memory every time.
        """
        padded = padded_to_bucket(inputs, self._buckets)
        shape = next(iter(padded.values())).shape
        with self._turn:
            if shape not in self._shapes:
                outputs = tuple(self._session.run(None, padded, _run_options(-1)))
                if len(self._shapes) == MOST_SHAPES:
                    return outputs
                self._shapes[shape] = _Shape(self._session, padded, outputs, self._device, len(self._shapes) + 1)
            return self._shapes[shape].run(padded)


def open_cuda(
    graph: Path, threads: int, length_buckets: Sequence[int], arena: bool, provider_options: Mapping[str, str]
) -> OnnxSession:
    """A session on the GPU: with CUDA graphs, or without where an operator would be left to the CPU.

    Raises:
        BundleError: ONNX Runtime cannot open the graph either way.
        MissingDependencyError: The provider is not in this build of ONNX Runtime, or its libraries do not load.
    """
    try:
        return CudaGraphSession(graph, threads, length_buckets, arena=arena, provider_options=provider_options)
    except BundleError:
        return OnnxSession(graph, threads, CUDA, arena=arena, provider_options=provider_options)


class _Shape:
    """One shape's arrays on the device, and the graph recorded over them."""

    def __init__(
        self,
        session: Any,  # noqa: ANN401
        inputs: dict[str, Ids],
        outputs: Outputs,
        device: str,
        number: int,
    ) -> None:
        import onnxruntime

        self._session, self._options = session, _run_options(number)
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
        return tuple(bound.numpy().copy() for bound in self._outputs)


def _run_options(number: int) -> Any:  # noqa: ANN401
    """Options of a run that records the graph of this number, or launches it; -1 does neither."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("gpu_graph_id", str(number))
    return options
