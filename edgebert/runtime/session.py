"""Sessions run a graph: padded token arrays in, outputs out. `edgebert.runtimes` lists the runtimes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from edgebert.errors import RunError
from edgebert.runtime.batches import Batching
from edgebert.runtime.encode import Encoded
from edgebert.runtime.origin import Provider

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgebert.manifest import Manifest

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

# Messages of runtimes if memory, or a thread, is not available.
SHORT = ("bad_alloc", "bad allocation", "llocate memory", "can't alloc", "out of memory")
NOT_MADE = ("failed to map segment", "pthread_create", "PosixThread", "temporarily unavailable")

Ids: TypeAlias = "NDArray[np.int64]"
Outputs: TypeAlias = "tuple[NDArray[np.float32], ...]"
# Types that a task reads: numpy arrays, or memory that `numpy.asarray` wraps without a copy. Both have `tolist`.
TextOutputs: TypeAlias = "tuple[NDArray[np.float32] | memoryview[float], ...]"


class Session(Protocol):
    """Runs a graph. *Shape* of every input: (batch, length); of every output: (batch, ...).

    `batching` says which texts may share a run.
    """

    batching: Batching

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch, in the order of the graph."""
        ...


@runtime_checkable
class RaggedSession(Protocol):
    """A session that runs texts of different lengths together, without padding."""

    def run_ragged(self, windows: Sequence[Encoded]) -> list[TextOutputs]:
        """Outputs of each text, without a batch axis."""
        ...


class Graph(Protocol):
    """Properties of a session's graph: names of inputs and outputs, and an output's last dimension if it is fixed."""

    @property
    def input_names(self) -> list[str]:
        """Names of the graph's inputs."""
        ...

    @property
    def output_widths(self) -> dict[str, int | None]:
        """Last dimension of each output, by name; None if it depends on the inputs."""
        ...


class GraphSession(Session, Graph, Protocol):
    """A session of a bundle's graph, which can be compared with the manifest."""


@dataclass(frozen=True)
class OperatorRun:
    """One run of an operator: name in the graph, type, microseconds, shapes of inputs and outputs."""

    node: str
    op: str
    us: float
    inputs: object = None
    outputs: object = None


class ProfiledSession(Session, Protocol):
    """A session that times every operator. This slows it down, so read the times as shares."""

    def start(self) -> None:
        """Discard everything that ran before."""
        ...

    def ran(self) -> list[OperatorRun]:
        """All operators that ran since `start`, in order; call this once, after the last run."""
        ...


@dataclass(frozen=True)
class Opening:
    """Arguments for opening a session of a bundle.

    Attributes:
        folder: The bundle's folder.
        manifest: The bundle's manifest.
        graph: The runtime's graph file.
        threads: Threads inside one run.
        arena: Keep freed memory for the next run, if the runtime can choose.
        provider: Execution provider and options that replace the profile's, if the runtime has providers.
    """

    folder: Path
    manifest: Manifest
    graph: Path
    threads: int
    arena: bool = True
    provider: Provider | None = None

    @property
    def length_buckets(self) -> list[int]:
        """Ascending token lengths that batches are padded to; the last one is the longest input's."""
        lengths = self.manifest.profile.export.length_buckets
        return bucket_lengths(lengths, self.manifest.max_length)


def error_line(error: Exception) -> str:
    """First line of a runtime's error, for a one-line message."""
    return f"{(str(error).splitlines() or [type(error).__name__])[0]:.300}"


def is_short_of_memory(error: Exception) -> bool:
    """Whether a runtime's error means that memory, or a thread, is not available."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in (*SHORT, *NOT_MADE))


def too_little(graph: Path, runtime: str, reason: str) -> RunError:
    """Make the error for a graph that cannot be opened because memory or threads are lacking."""
    return RunError(
        f"{graph}: {runtime} has too little memory to open it ({reason}); free some or raise the limits (ulimit -v, -u)"
    )


def bucket_lengths(lengths: Sequence[int], max_length: int) -> list[int]:
    """Padding lengths of a profile up to the longest input, which is added as the last one."""
    return [*(length for length in lengths if length < max_length), max_length]
