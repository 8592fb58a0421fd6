"""The machine's measured peak: how fast ONNX Runtime multiplies matrices of a model's sizes, and copies memory.

Runs in a measured process. A peak is the best of several blocks: the machine's capability, not its average.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgebert.measure.gemm import gemm_graph
from edgebert.measure.job import Answer, Job, Peak, Probe
from edgebert.runtime.session import CPU

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from edgebert.runtime.model import Model

# Several matrices, so that the cost of a run is shared and not all weights are in the nearest cache.
MATRICES = 4
BLOCKS = 5
BLOCK_NS = 4_000_000
# Number of rows at which every machine here reaches its full rate, which is used as the ceiling.
CEILING_ROWS = 256
COPIED_BYTES = 64 << 20


def work(model: Model, job: Job, call: Callable[[int], object]) -> Answer:
    """In the measured process: the peaks at the requested rows, and at the token count of the median text.

    Returns:
        `probe`, and `windows`: the tokens of each window of that text; empty if the job has no texts.
    """
    given = [text if isinstance(text, str) else tuple(text) for text in job.get("texts", [])]
    texts = sorted(([len(window.ids) for window in model.task.encode(text)] for text in given), key=sum)
    windows = texts[len(texts) // 2] if texts else []
    rows = [1, *job["rows"], *windows]
    provider, _ = job.get("provider") or (model.manifest.profile.export.provider, {})
    return {"windows": windows, "probe": probe(job["shapes"], job["precisions"], rows, job["threads"], provider)}


def probe(
    shapes: Sequence[tuple[int, int, int]], precisions: Sequence[str], rows: Sequence[int], threads: int, provider: str
) -> Probe:
    """Measure the rate of matrix products.

    Args:
        shapes: Inner dimension, columns and count in the model; rates are for this mix.
        precisions: `int8`, `fp32` or `fp16`.
        rows: Rows of the first factor: 1 and token lengths; `CEILING_ROWS` is added.
        threads: Threads inside one product.
        provider: ONNX Runtime's execution provider.

    Returns:
        `peaks`, a row for every precision that the provider supports and every number of rows, with `gmacs` (10^9
        multiply-accumulates per second; on a GPU without copies from and to the host). `copy_gb_s`, 10^9 bytes per
        second read and written by copying memory. The arguments are included.
    """
    wanted = sorted({*rows, CEILING_ROWS})
    peaks: list[Peak] = []
    for precision in precisions:
        times: dict[int, list[float]] = {at: [] for at in wanted}
        sessions = [_session(precision, inner, columns, threads, provider) for inner, columns, _ in shapes]
        if None in sessions:
            continue
        for session, (inner, _, _) in zip(sessions, shapes, strict=True):
            for at in wanted:
                times[at].append(_seconds(session, _rows(precision, at, inner), device_of(provider)))
        peaks += [{"precision": precision, "rows": at, "gmacs": rate(shapes, at, times[at])} for at in wanted]
    return {
        "threads": threads,
        "provider": provider,
        "shapes": [list(shape) for shape in shapes],
        "peaks": peaks,
        "copy_gb_s": round(copy_rate() / 1e9, 2),
    }


def rate(shapes: Sequence[tuple[int, int, int]], rows: int, seconds: Sequence[float]) -> float:
    """10^9 multiply-accumulates per second of a mix of products.

    Args:
        shapes: Inner dimension, columns and count of each product.
        rows: Rows of the first factor.
        seconds: Time of one product of each.
    """
    macs = sum(rows * inner * columns * count for inner, columns, count in shapes)
    taken = sum(count * each for (_, _, count), each in zip(shapes, seconds, strict=True))
    return round(macs / taken / 1e9, 2)


def device_of(provider: str) -> str:
    """ONNX Runtime's name for the device that holds a provider's inputs and outputs."""
    return "cpu" if provider == CPU else "cuda"


def copy_rate() -> float:
    """Bytes per second that one thread reads and writes by copying memory.

    The memory is too large for the caches; the best of five.
    """
    source = np.ones(COPIED_BYTES, np.uint8)
    copied = np.zeros_like(source)
    best_ns = min(_elapsed_ns(lambda: np.copyto(copied, source)) for _ in range(BLOCKS))
    return 2 * COPIED_BYTES / best_ns * 1e9


def peak_of(found: Probe, precision: str, rows: int | None = None) -> float | None:
    """The rate at this number of rows, or the highest of all; None if it was not measured."""
    rates = [row["gmacs"] for row in found["peaks"] if row["precision"] == precision and rows in (None, row["rows"])]
    return max(rates, default=None)


def is_bound(found: Probe) -> bool:
    """Whether these rates bound a prediction's speed; not so if a GPU launched each product separately."""
    return bool(found.get("provider", CPU) == CPU)


def _session(precision: str, inner: int, columns: int, threads: int, provider: str) -> InferenceSession:
    """The products of one size; None if the provider cannot run this precision and would fall back to the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    if provider != CPU:
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    graph = gemm_graph(_weights(precision, inner, columns))
    try:
        return onnxruntime.InferenceSession(graph, options, providers=[provider])
    except Exception:  # onnxruntime raises its own kinds, none of them public
        if provider == CPU:
            raise
        return None


def _weights(precision: str, inner: int, columns: int) -> list[NDArray[np.generic]]:
    random = np.random.default_rng(0)
    if precision == "int8":
        return list(random.integers(-127, 128, (MATRICES, inner, columns), dtype=np.int8))
    drawn = random.standard_normal((MATRICES, inner, columns), dtype=np.float32)
    return list(drawn.astype(np.float16) if precision == "fp16" else drawn)


def _rows(precision: str, rows: int, inner: int) -> NDArray[np.generic]:
    random = np.random.default_rng(1)
    if precision == "int8":
        return random.integers(0, 256, (rows, inner), dtype=np.uint8)
    drawn = random.standard_normal((rows, inner), dtype=np.float32)
    return drawn.astype(np.float16) if precision == "fp16" else drawn


def _seconds(session: InferenceSession, rows: NDArray[np.generic], device: str) -> float:
    """Seconds per product with inputs on the device, from the fastest block of runs."""
    import onnxruntime

    binding = session.io_binding()
    binding.bind_ortvalue_input("x", onnxruntime.OrtValue.ortvalue_from_numpy(rows, device, 0))
    for at in range(MATRICES):
        binding.bind_output(f"y{at}", device)

    def run(times: int) -> None:
        for _ in range(times):
            session.run_with_iobinding(binding)

    run(1)
    times = max(1, BLOCK_NS // max(1, _elapsed_ns(lambda: run(1))))
    best_ns = min(_elapsed_ns(lambda: run(times)) for _ in range(BLOCKS))
    return best_ns / times / MATRICES / 1e9


def _elapsed_ns(action: Callable[[], object]) -> int:
    begin = time.perf_counter_ns()
    action()
    return time.perf_counter_ns() - begin
