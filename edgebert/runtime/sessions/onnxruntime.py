"""Sessions of ONNX Runtime; the only file that calls it for a prediction on a CPU."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgebert.errors import BundleError, MissingDependencyError, RunError
from edgebert.manifest import AGAIN
from edgebert.runtime.batches import ANY_LENGTHS, EQUAL_LENGTHS, LIKE_LENGTHS
from edgebert.runtime.cores import core_count
from edgebert.runtime.external_data import check_external_data
from edgebert.runtime.origin import Provider
from edgebert.runtime.padded import check_rows
from edgebert.runtime.session import (
    CPU,
    CUDA,
    TENSORRT,
    GraphSession,
    Ids,
    Opening,
    OperatorRun,
    Outputs,
    ProfiledSession,
    error_line,
    is_short_of_memory,
    too_little,
)
from edgebert.runtime.turns import Turns
from edgebert.runtimes import WEIGHTS_ALONE
from edgebert.versions import check_version, not_imported

if TYPE_CHECKING:
    from onnxruntime import SessionOptions

# On a CPU ONNX Runtime's fused kernel takes 37 us, while Add and LayerNormalization take 10 (25 x 384, one thread). On
# a GPU it saves launches: MiniLM in FP16 takes 0.85 ms with it and 0.97 without (24 tokens, NVIDIA H200).
SLOW_ON_CPU = ["SkipLayerNormFusion"]
# Without it, ONNX Runtime on x86 runs matmuls in FP32 if several read one signed INT8 value: queries, keys and values
# of static INT8 for TensorRT. With unsigned values they run in integers either way.
SIGNED_INT8 = ("session.qdqisint8allowed", "1")
# Else a DequantizeLinear before a product makes INT8 arithmetic of it, or runs every time
# (findings/onnxruntime-weight-only-dequantize-computes-int8.sh).
NO_INTEGERS = ("session.disable_quant_qdq", "1")
# Runs at a time for every core; callers beyond them wait outside. Each run has activations of its own, so that memory
# is bounded. With one or two a core, a core idles while the next caller wakes up (measured:
# docs/explanation/batch-effects.md, "Threads").
RUNS_A_CORE = 4
# Name for the time of a run outside its operators.
OUTSIDE = "(outside operators)"


def open_session(opening: Opening) -> GraphSession:
    """Open a bundle's graph; on an NVIDIA GPU with CUDA graphs, except for a baseline.

    Raises:
        BundleError: The graph reads weights from a file that the bundle does not list, or is not a valid graph.
        MissingDependencyError: ONNX Runtime or its provider is not installed.
    """
    name, options = _provider(opening)
    if name == CUDA and not _fuses_everything(opening):
        from edgebert.runtime.sessions.cuda_graphs import open_cuda

        check_external_data(opening.folder, opening.graph, opening.manifest)
        return open_cuda(opening.graph, opening.threads, opening.length_buckets, opening.arena, options)
    return _open(opening)


def open_profiled(opening: Opening, folder: Path) -> ProfiledSession:
    """Open a bundle's graph with ONNX Runtime's profiler, which writes a file into the folder.

    Raises:
        BundleError: The graph reads weights from a file that the bundle does not list, or is not a valid graph.
        MissingDependencyError: ONNX Runtime or its provider is not installed.
    """
    return ProfiledOnnxSession(_open(opening, folder / "operators"))


def _open(opening: Opening, profile: Path | None = None) -> OnnxSession:
    name, own = _provider(opening)
    kind, graph, unpadded = OnnxSession, opening.graph, opening.manifest.runtime.unpadded
    # Its weights are in the other file, which ONNX Runtime only reads if no link leads out of the folder
    # (`check_files`).
    if unpadded and name == CPU:
        kind, graph = UnpaddedSession, opening.folder / unpadded
    check_external_data(opening.folder, graph, opening.manifest)
    try:
        weights_alone = opening.manifest.precision == WEIGHTS_ALONE
        options = OnnxOptions(_fuses_everything(opening), opening.arena, profile, own, weights_alone)
        return kind(graph, opening.threads, name, options)
    except BundleError as error:
        if graph == opening.graph:
            raise
        reason = str(error).removeprefix(f"{graph}: ")
        raise BundleError(f"{opening.graph} or {graph.name}, which uses its weights: {reason}") from None


def _provider(opening: Opening) -> Provider:
    return opening.provider or (opening.manifest.profile.export.provider, {})


def _fuses_everything(opening: Opening) -> bool:
    """Whether to keep ONNX Runtime's default fusions, as for a full-precision baseline."""
    return opening.manifest.runtime.default_fusions


@dataclass(frozen=True, eq=False, repr=False)
class OnnxOptions:
    """How ONNX Runtime opens a graph.

    Attributes:
        fuse_everything: Keep ONNX Runtime's default fusions, including those that are slow on a CPU.
        arena: Keep freed memory for the next run.
        profile: Prefix of the file with the time of every operator; `end_profiling` closes it.
        provider: The provider's own options.
        weights_alone: Decode INT8 weights when the graph is opened, and compute FP32 with them on a CPU.
    """

    fuse_everything: bool = False
    arena: bool = True
    profile: Path | None = None
    provider: Mapping[str, str] = field(default_factory=dict)
    weights_alone: bool = False


USUAL = OnnxOptions()


class OnnxSession:
    """ONNX Runtime. Threads may share it; on a CPU at most `RUNS_A_CORE` runs per core execute at a time."""

    batching = LIKE_LENGTHS

    def __init__(self, graph: Path, threads: int, provider: str, options: OnnxOptions = USUAL) -> None:
        """Open a graph.

        Args:
            graph: The `.onnx` file.
            threads: Threads inside one run.
            provider: ONNX Runtime's execution provider; the CPU runs operators that it lacks.
            options: Fusions, memory, profiling and the provider's own options.

        Raises:
            BundleError: The file is not a graph that this ONNX Runtime reads.
            RunError: Too little memory, or no more threads available.
            MissingDependencyError: The provider is not in this build of ONNX Runtime, its libraries do not load, or
                this ONNX Runtime is too old.
        """
        onnxruntime = _import_with(provider)
        settings = _options(onnxruntime, threads, options)
        self._turns = Turns(RUNS_A_CORE * core_count())
        if provider != CPU:
            self.batching = ANY_LENGTHS
            _load_cuda(onnxruntime)
        disabled: list[str] = []
        if provider == CPU and not options.fuse_everything:
            disabled = SLOW_ON_CPU
            settings.add_session_config_entry(*SIGNED_INT8)
        if provider == CPU and options.weights_alone:
            settings.add_session_config_entry(*NO_INTEGERS)
        try:
            self._session = onnxruntime.InferenceSession(
                str(graph),
                settings,
                providers=_providers(provider, options.provider),
                disabled_optimizers=disabled,
                enable_fallback=0,
            )
        except Exception as error:  # noqa: BLE001 - onnxruntime raises its own kinds, none of them public
            if is_short_of_memory(error):
                raise too_little(graph, "ONNX Runtime", error_line(error)) from None
            raise BundleError(f"{graph}: ONNX Runtime cannot open it ({error_line(error)}); {AGAIN}") from None
        # ONNX Runtime continues without a provider whose libraries it cannot load.
        if provider not in self._session.get_providers():
            raise MissingDependencyError(
                f"provider {provider} could not start: its libraries or the driver do not match; see docs/guides/gpu.md"
            )

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch.

        Raises:
            TextError: A row is all padding.
            BundleError: The graph refuses the inputs: an id or a length is beyond its tables.
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
    """ONNX Runtime with a graph whose attention has no mask: all texts of a batch have the same length."""

    batching = EQUAL_LENGTHS

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one batch without padding.

        Raises:
            ValueError: There is padding, which would be read as text.
        """
        if not inputs["attention_mask"].all():
            raise ValueError(
                "the batch has padding, but this graph has no attention mask; batch only texts of equal token counts"
            )
        return super().run(inputs)


class ProfiledOnnxSession:
    """ONNX Runtime with its profiler, which writes an event for every operator into a file."""

    def __init__(self, session: OnnxSession) -> None:
        """Wrap a session that was opened with `profile`."""
        self._session, self.batching = session, session.batching
        self._runs = self._skipped = 0

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch."""
        outputs = self._session.run(inputs)
        self._runs += 1
        return outputs

    def start(self) -> None:
        """Discard everything that ran before."""
        self._skipped = self._runs

    def ran(self) -> list[OperatorRun]:
        """Close the profiler's file, and read what ran since `start`."""
        events = json.loads(self._session.end_profiling().read_text(encoding="utf-8"))
        return read_events(events, self._skipped)


def read_events(events: Iterable[dict[str, Any]], skipped: int = 0) -> list[OperatorRun]:
    """List what ran, from the events of ONNX Runtime's profiler (onnxruntime.ai/docs/performance/tune-performance).

    Args:
        events: Every event of the file.
        skipped: Number of runs at the beginning to leave out.

    Returns:
        Operators in order, and for every run the rest of its time as `OUTSIDE`.
    """
    known = [event for event in events if event.get("ph") == "X"]
    runs = sorted((event for event in known if event["name"] == "model_run"), key=lambda event: event["ts"])[skipped:]
    if not runs:
        return []
    kernels = [event for event in known if event["cat"] == "Node" and event["name"].endswith("_kernel_time")]
    counted = [event for event in kernels if event["ts"] >= runs[0]["ts"]]
    ran = [_ran(event) for event in counted]
    outside = sum(run["dur"] for run in runs) - sum(each.us for each in ran)
    return [*ran, *[OperatorRun(OUTSIDE, OUTSIDE, max(0.0, outside) / len(runs))] * len(runs)]


def _ran(event: dict[str, Any]) -> OperatorRun:
    facts = event["args"]
    name = event["name"].removesuffix("_kernel_time")
    inputs, outputs = facts.get("input_type_shape"), facts.get("output_type_shape")
    return OperatorRun(name, facts["op_name"], event["dur"], inputs, outputs)


def _options(onnxruntime: ModuleType, threads: int, asked: OnnxOptions) -> SessionOptions:
    """Session options; the arguments are those of `OnnxSession`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # It also raises what it would log as an error.
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = asked.arena
    if asked.profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(asked.profile)
    return options


def _providers(provider: str, options: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """The provider, and the providers for operators that it lacks."""
    others = {CPU: [], TENSORRT: [CUDA, CPU]}.get(provider, [CPU])
    return [(provider, dict(options)), *((name, {}) for name in others)]


def _import_with(provider: str) -> ModuleType:
    """Import ONNX Runtime, and check that it has a provider.

    Raises:
        MissingDependencyError: It is not installed, cannot be loaded, or was built without the provider.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise not_imported("onnxruntime", error) from None
    check_version("onnxruntime", onnxruntime.__version__)
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise MissingDependencyError(
            f"provider {provider} is not in this onnxruntime (it has {', '.join(available)}); install its package"
        )
    module: ModuleType = onnxruntime
    return module


def _fixed(shape: Sequence[int | str | None]) -> int | None:
    """Last dimension of a shape; None if it depends on the inputs."""
    return shape[-1] if shape and isinstance(shape[-1], int) else None


def run_error(error: Exception) -> BundleError | RunError:
    """Make the error of a run: too little memory, or a graph that contradicts its manifest."""
    if "alloc" in str(error) or is_short_of_memory(error):
        return RunError(f"ONNX Runtime has too little memory ({error_line(error)}); free some, or give fewer texts")
    return BundleError(f"ONNX Runtime cannot run the bundle's graph ({error_line(error)}); export the bundle again")


def _load_cuda(onnxruntime: ModuleType) -> None:
    """Load CUDA libraries installed as wheels. Their output is kept off stdout."""
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(sys.stderr):
            onnxruntime.preload_dlls(directory="")
