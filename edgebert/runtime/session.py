"""Sessions: padded token arrays in, the outputs of the graph out. `edgebert.runtimes` lists the runtimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgebert.errors import TextError
from edgebert.runtime.batches import Batching
from edgebert.runtime.encode import Encoded
from edgebert.runtime.origin import Provider

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"

Ids = NDArray[np.int64]
Outputs = tuple[NDArray[np.float32], ...]


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
    """A session that takes texts of any lengths together, without padding."""

    def run_ragged(self, windows: Sequence[Encoded]) -> list[Outputs]:
        """Outputs of each text, without a batch axis."""
        ...


class Graph(Protocol):
    """What a session says of its graph: names of inputs and outputs, and an output's last dimension if it is fixed."""

    @property
    def input_names(self) -> list[str]:
        """Names of the graph's inputs."""
        ...

    @property
    def output_widths(self) -> dict[str, int | None]:
        """Last dimension of each output, by name; None if it depends on the inputs."""
        ...


class GraphSession(Session, Graph, Protocol):
    """A session of a bundle's graph, which is compared with the manifest."""


@dataclass(frozen=True)
class OperatorRun:
    """An operator that ran once: its name in the graph, its type, microseconds, and its inputs' and outputs' shapes."""

    node: str
    op: str
    us: float
    inputs: object = None
    outputs: object = None


class ProfiledSession(Session, Protocol):
    """A session that counts the time of every operator. Counting slows it: read the times as shares."""

    def start(self) -> None:
        """Leave out what ran until now."""
        ...

    def ran(self) -> list[OperatorRun]:
        """Every operator that ran since the start, in order; ask once, after the last run."""
        ...


@dataclass(frozen=True)
class Opening:
    """What a session of a bundle is opened with.

    Attributes:
        folder: The bundle.
        manifest: The bundle's.
        graph: The runtime's graph file.
        threads: Threads inside one run.
        arena: Keep freed memory for the next run, if the runtime can choose.
        provider: Execution provider and its options in place of the profile's, if the runtime has providers.
    """

    folder: Path
    manifest: dict[str, Any]
    graph: Path
    threads: int
    arena: bool = True
    provider: Provider | None = None

    @property
    def length_buckets(self) -> list[int]:
        """Rising token lengths that batches are padded to, the longest input's last."""
        lengths = self.manifest["profile"]["export"]["length_buckets"]
        return bucket_lengths(lengths, self.manifest["max_length"])


def error_line(error: Exception) -> str:
    """First line of a runtime's error, for a message of one line."""
    return f"{(str(error).splitlines() or [type(error).__name__])[0]:.300}"


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
