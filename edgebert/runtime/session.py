"""Sessions: padded token arrays in, the outputs of the graph out. ONNX Runtime or OpenVINO behind one protocol."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import BundleError, MissingDependencyError, RunError, TextError
from edgebert.runtime.batches import ANY_LENGTHS, EQUAL_LENGTHS, LIKE_LENGTHS, SPARE_TOKENS, Batching
from edgebert.runtime.cores import core_count
from edgebert.runtime.turns import Turns
from edgebert.versions import check_version

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

Ids = NDArray[np.int64]
Outputs = tuple[NDArray[np.float32], ...]

# On a CPU ONNX Runtime's fused kernel takes 37 us where Add and LayerNormalization take 10 (25 x 384, one thread). On a
# GPU it saves launches: MiniLM in FP16 takes 0.85 ms with it and 0.97 without (24 tokens, NVIDIA H200).
SLOW_ON_CPU = ["SkipLayerNormFusion"]
# Without it ONNX Runtime on x86 runs products in FP32 if several read one signed INT8 value: queries, keys and values
# of the static form for TensorRT. Unsigned values are in integers either way.
SIGNED_INT8 = ("session.qdqisint8allowed", "1")
# Runs at a time for every core; callers beyond them wait outside. Each run has activations of its own, so that memory
# is bounded. With one or two a core, a core idles while the next caller wakes up (measured:
# docs/explanation/batch-effects.md, "Threads").
RUNS_A_CORE = 4


class Session(Protocol):
    """Runs a graph. *Shape* of every input: (batch, length); of every output: (batch, ...).

    `batching` says which texts may share a run.
    """

    batching: Batching

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch, in the order of the graph."""
        ...


class OnnxSession:
    """ONNX Runtime. Threads may share it; on a CPU it runs at most `RUNS_A_CORE` of them a core at a time."""

    batching = LIKE_LENGTHS

    def __init__(
        self,
        graph: Path,
        threads: int,
        provider: str,
        fuse_everything: bool = False,
        arena: bool = True,
        profile: Path | None = None,
        provider_options: Mapping[str, str] | None = None,
    ) -> None:
        """Open a graph.

        Args:
            graph: The `.onnx` file.
            threads: Threads inside one run.
            provider: ONNX Runtime's execution provider; the CPU follows where it lacks an operator.
            fuse_everything: Keep ONNX Runtime's defaults, fusions that are slow on a CPU included.
            arena: Keep freed memory for the next run.
            profile: Beginning of the name of a file for the time of every operator; `end_profiling` closes it.
            provider_options: The provider's own options.

        Raises:
            BundleError: The file is not a graph that this ONNX Runtime reads.
            MissingDependencyError: The provider is not in this build of ONNX Runtime, its libraries do not load, or
                this ONNX Runtime is too old.
        """
        onnxruntime = _import_with(provider)
        options = _options(onnxruntime, threads, arena, profile)
        self._turns = Turns(RUNS_A_CORE * core_count())
        if provider != CPU:
            self.batching = ANY_LENGTHS
            _load_cuda(onnxruntime)
        disabled: list[str] = []
        if provider == CPU and not fuse_everything:
            disabled = SLOW_ON_CPU
            options.add_session_config_entry(*SIGNED_INT8)
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph),
                options,
                providers=_providers(provider, provider_options or {}),
                disabled_optimizers=disabled,
                enable_fallback=0,
            )
        except Exception as error:  # noqa: BLE001 - onnxruntime raises its own kinds, none of them public
            raise BundleError(f"{graph}: ONNX Runtime cannot open it ({_first_line(error)})") from None
        # ONNX Runtime goes on without a provider whose libraries it cannot load.
        if provider not in self._session.get_providers():
            raise MissingDependencyError(
                f"provider {provider} could not start, its libraries or the driver do not fit; see docs/guides/gpu.md"
            )

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch.

        Raises:
            TextError: A row is all padding.
            BundleError: The graph does not take the inputs: an id or a length is beyond its tables.
            RunError: Too little memory.
        """
        check_rows(inputs)
        try:
            with self._turns:
                return tuple(self._session.run(None, inputs))
        except Exception as error:  # noqa: BLE001 - onnxruntime raises its own kinds, none of them public
            raise run_error(error) from None

    @property
    def input_names(self) -> list[str]:
        """Names of the graph's inputs."""
        return [each.name for each in self._session.get_inputs()]

    @property
    def output_widths(self) -> dict[str, int | None]:
        """Last dimension of each of the graph's outputs, by name; None if it depends on the inputs."""
        return {each.name: _fixed(each.shape) for each in self._session.get_outputs()}

    def end_profiling(self) -> Path:
        """Close the file with the time of every operator; the session must have been opened with `profile`."""
        return Path(self._session.end_profiling())


class UnpaddedSession(OnnxSession):
    """ONNX Runtime, with a graph that reads no mask in attention: all texts of a batch have the same length."""

    batching = EQUAL_LENGTHS

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one batch without padding.

        Raises:
            ValueError: There is padding; it would be read as text.
        """
        if not inputs["attention_mask"].all():
            raise ValueError("a batch with padding was given to a graph for texts without; run each length by itself")
        return super().run(inputs)


def _options(onnxruntime: Any, threads: int, arena: bool, profile: Path | None) -> Any:  # noqa: ANN401
    """Session options; the arguments are those of `OnnxSession`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # What it would log as an error, it raises too.
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = arena
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return options


def _providers(provider: str, options: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """The provider, and those that take over the operators it lacks."""
    others = {CPU: [], TENSORRT: [CUDA, CPU]}.get(provider, [CPU])
    return [(provider, dict(options)), *((name, {}) for name in others)]


def _import_with(provider: str) -> Any:  # noqa: ANN401
    """Import ONNX Runtime, and check that it has a provider.

    Raises:
        MissingDependencyError: It is not installed, or was built without the provider.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("onnxruntime is not installed; pip install edgebert") from None
    check_version("onnxruntime", onnxruntime.__version__)
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise MissingDependencyError(
            f"provider {provider} is not in this onnxruntime (it has {', '.join(available)}); install its package"
        )
    return onnxruntime


def _fixed(shape: Sequence[Any]) -> int | None:
    """Last dimension of a shape, None if it depends on the inputs."""
    return shape[-1] if shape and isinstance(shape[-1], int) else None


def run_error(error: Exception) -> BundleError | RunError:
    """Make the error of a run: too little memory, or a graph that does not take what its manifest promises."""
    if "alloc" in str(error):
        return RunError(f"ONNX Runtime has too little memory ({_first_line(error)}); free some, or give fewer texts")
    return BundleError(f"ONNX Runtime cannot run the bundle's graph ({_first_line(error)}); export the bundle again")


def _first_line(error: Exception) -> str:
    return f"{(str(error).splitlines() or [type(error).__name__])[0]:.300}"


def _openvinos_fault(error: Exception, what: str) -> str:
    """What OpenVINO cannot do and why: the first line that does not say where in its own code it was found."""
    lines = [line.strip() for line in str(error).splitlines()]
    found = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    reason = f"{found[0]:.300}" if found else _first_line(error)
    return f"OpenVINO cannot {what} ({reason}); export the bundle again"


def _load_cuda(onnxruntime: Any) -> None:  # noqa: ANN401
    """Load CUDA's libraries from their wheels, where they came as wheels; what it prints is not our answer."""
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls(directory="")


def bucket_lengths(lengths: Sequence[int], max_length: int) -> list[int]:
    """The lengths that batches are padded to, of those a profile names: none beyond the longest input, which is one."""
    return [*(length for length in lengths if length < max_length), max_length]


def padded_to_bucket(inputs: Mapping[str, Ids], buckets: Sequence[int]) -> dict[str, Ids]:
    """A batch padded to the shortest bucket that holds it; as it is where none does."""
    length = next(iter(inputs.values())).shape[1]
    padding = next((bucket for bucket in buckets if bucket >= length), length) - length
    return {name: np.pad(value, ((0, 0), (0, padding))) for name, value in inputs.items()}


def check_rows(inputs: Mapping[str, Ids]) -> None:
    """Refuse a batch in which a row is all padding.

    ONNX Runtime's MultiHeadAttention answers such a row as if it had no mask, and ONNX's own Attention gives zeros.

    Raises:
        TextError: Says which row it is.
    """
    mask = inputs.get("attention_mask")
    # Texts are padded on the right, so that the first column is enough for nearly every batch.
    if mask is None or (mask.size and mask[:, 0].all()):
        return
    empty = np.flatnonzero(mask.sum(axis=1) == 0)
    if empty.size or not mask.size:
        row = f"row {empty[0] + 1}" if empty.size else "every row"
        raise TextError(f"{row} of a batch of {len(mask)} is all padding; give each text at least one token")


def _static(shape: Any) -> int | None:  # noqa: ANN401
    """Last dimension of an OpenVINO shape, None if it depends on the inputs."""
    if shape.rank.is_dynamic or not len(shape) or shape[len(shape) - 1].is_dynamic:
        return None
    return int(shape[len(shape) - 1].get_length())


class OpenVinoSession:
    """OpenVINO on the CPU; batches are padded to a few lengths, for it compiles anew for every length it meets."""

    def __init__(self, graph: Path, threads: int, length_buckets: list[int], profile: bool = False) -> None:
        """Open an IR file.

        Args:
            graph: The `.xml` file, its `.bin` beside it.
            threads: Threads inside one run.
            length_buckets: Rising token lengths that batches are padded to.
            profile: Count the time of every operator.

        Raises:
            BundleError: The files are not a model that this OpenVINO reads.
            MissingDependencyError: OpenVINO is not installed, or too old.
        """
        try:
            import openvino
        except ImportError:
            raise MissingDependencyError("openvino is not installed; pip install edgebert[openvino]") from None
        check_version("openvino", openvino.__version__)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            **({"PERF_COUNT": True} if profile else {}),
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(str(graph)), "CPU", settings)
        except RuntimeError as error:
            raise BundleError(f"{graph}: {_openvinos_fault(error, 'open it')}") from None
        self._request: Any = compiled.create_infer_request()
        self._outputs = len(compiled.outputs)
        self.input_names = [each.get_any_name() for each in compiled.inputs]
        self.output_widths = {each.get_any_name(): _static(each.get_partial_shape()) for each in compiled.outputs}
        self._buckets = length_buckets
        self.batching = Batching(SPARE_TOKENS, tuple(length_buckets))
        self._turn = threading.Lock()

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch; those with a row a token have rows for the padding too.

        Threads take turns: there is one request, and the next run overwrites what it holds.

        Raises:
            TextError: A row is all padding.
            BundleError: The graph does not take the inputs.
        """
        check_rows(inputs)
        padded = padded_to_bucket(inputs, self._buckets)
        with self._turn:
            try:
                self._request.infer(padded, share_inputs=True)
            except RuntimeError as error:
                raise BundleError(_openvinos_fault(error, "run the bundle's graph")) from None
            return tuple(self._request.get_output_tensor(at).data.copy() for at in range(self._outputs))

    def operator_times(self) -> list[tuple[str, str, float]]:
        """Name, type and microseconds of every operator that ran; the session must have been opened with `profile`."""
        return [
            (info.node_name, info.node_type, info.real_time.total_seconds() * 1e6)
            for info in self._request.get_profiling_info()
            if info.status.name == "EXECUTED"
        ]
