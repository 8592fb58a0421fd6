"""Sessions of OpenVINO, on the CPU."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from edgebert.errors import BundleError, EdgeBertError, RunError
from edgebert.runtime.batches import SPARE_TOKENS, Batching
from edgebert.runtime.external_data import check_ir
from edgebert.runtime.padded import check_rows, padded_to_bucket
from edgebert.runtime.session import (
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
from edgebert.versions import check_version, not_imported


def open_session(opening: Opening) -> GraphSession:
    """Open a bundle's IR file.

    Raises:
        BundleError: It is not a model that this OpenVINO reads.
        MissingDependencyError: OpenVINO is not installed, or too old.
    """
    check_ir(opening.graph)
    return OpenVinoSession(opening.graph, opening.threads, opening.length_buckets)


def open_profiled(opening: Opening) -> ProfiledSession:
    """Open a bundle's IR file with OpenVINO's counters.

    Raises:
        BundleError: It is not a model that this OpenVINO reads.
        MissingDependencyError: OpenVINO is not installed, or too old.
    """
    check_ir(opening.graph)
    return ProfiledOpenVinoSession(OpenVinoSession(opening.graph, opening.threads, opening.length_buckets, True))


class OpenVinoSession:
    """OpenVINO on the CPU.

    It compiles a model again for every new length, so batches are padded to a few lengths.
    """

    def __init__(self, graph: Path, threads: int, length_buckets: list[int], profile: bool = False) -> None:
        """Open an IR file.

        Args:
            graph: The `.xml` file, with its `.bin` beside it.
            threads: Threads inside one run.
            length_buckets: Ascending token lengths that batches are padded to.
            profile: Whether to time every operator.

        Raises:
            BundleError: The files are not a model that this OpenVINO reads.
            RunError: Too little memory.
            MissingDependencyError: OpenVINO is not installed, or too old.
        """
        try:
            import openvino
        except ImportError as error:
            raise not_imported("openvino", error) from None
        check_version("openvino", openvino.__version__)
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            # Else activations before INT8 weights are rounded to INT8 on CPUs with VNNI, unasked.
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
            **({"PERF_COUNT": True} if profile else {}),
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(str(graph)), "CPU", settings)
        except (RuntimeError, MemoryError) as error:
            if is_short_of_memory(error):
                raise too_little(graph, "OpenVINO", _reason(error)) from None
            raise BundleError(f"{graph}: {_fault(error, 'open it')}") from None
        self._request: Any = compiled.create_infer_request()
        self._outputs = len(compiled.outputs)
        self.input_names = [each.get_any_name() for each in compiled.inputs]
        self.output_widths = {each.get_any_name(): _static(each.get_partial_shape()) for each in compiled.outputs}
        self._buckets = length_buckets
        self.batching = Batching(SPARE_TOKENS, tuple(length_buckets))
        self._turn = threading.Lock()

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch; outputs with one row per token include rows for padding.

        Threads take turns: there is one inference request, and the next run overwrites its outputs.

        Raises:
            TextError: A row is all padding.
            BundleError: The graph refuses the inputs.
            RunError: Too little memory.
        """
        check_rows(inputs)
        padded = padded_to_bucket(inputs, self._buckets)
        with self._turn:
            try:
                self._request.infer(padded, share_inputs=True)
            except (RuntimeError, MemoryError) as error:
                raise _run_error(error) from None
            return tuple(self._request.get_output_tensor(at).data.copy() for at in range(self._outputs))

    def operator_runs(self) -> list[OperatorRun]:
        """Operators of the last run; the session must have been opened with `profile`."""
        return [
            OperatorRun(info.node_name, info.node_type, info.real_time.total_seconds() * 1e6)
            for info in self._request.get_profiling_info()
            if info.status.name == "EXECUTED"
        ]


class ProfiledOpenVinoSession:
    """OpenVINO with its counters, which hold only the last run, so they are read after every run."""

    def __init__(self, session: OpenVinoSession) -> None:
        """Wrap a session that was opened with `profile`."""
        self._session, self.batching = session, session.batching
        self._ran: list[OperatorRun] = []

    def run(self, inputs: dict[str, Ids]) -> Outputs:
        """Outputs of one padded batch."""
        outputs = self._session.run(inputs)
        self._ran += self._session.operator_runs()
        return outputs

    def start(self) -> None:
        """Discard everything that ran before."""
        self._ran = []

    def ran(self) -> list[OperatorRun]:
        """Every operator that ran since the start."""
        return self._ran


def _static(shape: Any) -> int | None:  # noqa: ANN401
    """Last dimension of an OpenVINO shape; None if it depends on the inputs."""
    if shape.rank.is_dynamic or not len(shape) or shape[len(shape) - 1].is_dynamic:
        return None
    return int(shape[len(shape) - 1].get_length())


def _run_error(error: Exception) -> EdgeBertError:
    if is_short_of_memory(error):
        return RunError(f"OpenVINO has too little memory ({_reason(error)}); free some, or give fewer texts")
    return BundleError(_fault(error, "run the bundle's graph"))


def _fault(error: Exception, what: str) -> str:
    return f"OpenVINO cannot {what} ({_reason(error)}); export the bundle again"


def _reason(error: Exception) -> str:
    """Reason of an OpenVINO error: the first line that is not a location in OpenVINO's own code."""
    lines = [line.strip() for line in str(error).splitlines()]
    found = [line for line in lines if line and not line.startswith(("Exception from ", "Check '"))]
    return f"{found[0]:.300}" if found else error_line(error)
