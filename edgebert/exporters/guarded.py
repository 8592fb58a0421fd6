"""The measurements that the INT8 guard makes of a graph: quality on the validation split, error against FP32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edgebert.exporters.graphs import CPU, GraphJob, quality_of, tuned_head
from edgebert.exporters.onnx import graph_inputs
from edgebert.exporters.parity import relative_error
from edgebert.exporters.unpadded import UNPADDED, write_unpadded
from edgebert.runtime.encode import Encoded
from edgebert.runtime.padded import padded_inputs
from edgebert.runtime.session import Outputs, Session
from edgebert.runtime.sessions.onnxruntime import OnnxOptions, OnnxSession, UnpaddedSession
from edgebert.strict_json import Json


@dataclass(frozen=True)
class Outcome:
    """Measures graphs that are made from one full-precision graph.

    Attributes:
        job: The model and its texts.
        full: Its full-precision ONNX graph.
        open_graph: Opens a graph that was made from it.
        head: Values chosen on the validation split, used for every graph including the full-precision one; None lets
            each graph choose its own.
    """

    job: GraphJob
    full: Path
    open_graph: Callable[[Path], Session]
    head: Mapping[str, Json] | None = None

    def quality(self, graph: Path) -> float:
        """The metric on the validation split."""
        session = self._open(graph)
        head = tuned_head(self.job, session, self.names) if self.head is None else self.head
        scored = quality_of(self.job, session, self.names, head, splits=("validation",))
        return float(scored["validation"]["value"])

    def error(self, graph: Path) -> float:
        """Difference from full precision's outputs, relative to their size."""
        return relative_error(self.reference, self._outputs(graph))

    @cached_property
    def names(self) -> list[str]:
        """Input names, the same for every graph."""
        return graph_inputs(self.full)

    @cached_property
    def windows(self) -> list[Encoded]:
        """Real texts, encoded."""
        return self.job.parity_windows()

    @cached_property
    def reference(self) -> list[Outputs]:
        """Full precision's outputs."""
        return self._outputs(self.full)

    def _open(self, graph: Path) -> Session:
        return open_onnx(graph) if graph == self.full else self.open_graph(graph)

    def _outputs(self, graph: Path) -> list[Outputs]:
        session = self._open(graph)
        return [session.run(padded_inputs([window], self.names, self.job.pad_id)) for window in self.windows]


def open_onnx(graph: Path) -> Session:
    """Open an ONNX graph on this machine's CPU."""
    return OnnxSession(graph, 2, CPU)


def open_as_bundle(graph: Path, threads: int = 2, weights_alone: bool = False) -> Session:
    """Open an INT8 graph as a bundle does: without a mask if possible, from a second file written beside it."""
    if write_unpadded(graph, graph.with_name(UNPADDED)):
        return UnpaddedSession(graph.with_name(UNPADDED), threads, CPU, OnnxOptions(weights_alone=weights_alone))
    return OnnxSession(graph, threads, CPU)
