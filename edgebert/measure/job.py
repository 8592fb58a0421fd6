"""Jobs for measured processes, and their answers: JSON objects, checked on arrival."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from edgebert.data.named import NamedRow
    from edgebert.measure.suite import Server
    from edgebert.runtime.quality import QualityRow
    from edgebert.strict_json import Json

Input = str | tuple[str, ...]


class ServerSettings(TypedDict):
    """`edgebert.measure.suite.Server` as JSON."""

    bound_ms: float
    percent: float
    queries: int
    tolerance: float


def server_settings(server: Server) -> ServerSettings:
    """The settings of a suite's server scenario."""
    return {
        "bound_ms": server.bound_ms,
        "percent": server.percent,
        "queries": server.queries,
        "tolerance": server.tolerance,
    }


class Power(TypedDict):
    """Energy of one prediction, and the sensor that gave it."""

    joules_per_inference: float
    source: str


class Peak(TypedDict):
    """Rate of matrix products in one precision, in 10^9 multiply-accumulates per second."""

    precision: str
    rows: int
    gmacs: float


class Probe(TypedDict, total=False):
    """Rates of matrix products and of copying memory that a machine reaches."""

    peaks: list[Peak]
    copy_gb_s: float
    threads: int
    provider: str
    shapes: list[list[int]]


class GpuRow(TypedDict, total=False):
    """Properties of a GPU."""

    name: str
    driver: str
    memory_mb: float | None
    compute_capability: str


class Environment(TypedDict, total=False):
    """A machine and its state; None for what cannot be read. A result may have more or fewer keys.

    `edgebert.measure.received` checks what another machine sends.
    """

    cpu: str
    int8: str | None
    family_model: str
    machine: str
    flags: list[str]
    cores: int
    affinity: list[int]
    memory_mb: int | None
    os: str
    kernel: str
    python: str
    versions: dict[str, str]
    gpu: list[GpuRow] | GpuRow | None
    governor: str | None
    frequency_mhz: float | None
    temperature_c: float | None
    throttled: list[str] | None
    throttle_events: int | None
    power_mode: str | None
    gpu_temperature_c: float | None
    load_average: list[float] | None
    provider: str
    emulated: str
    gemm: Probe


class Operator(TypedDict, total=False):
    """Share of an operator type in a prediction's time, or of one node, which also has shapes."""

    node: str
    op: str
    count: float
    us: float
    share: float
    inputs: object
    outputs: object


class Job(TypedDict, total=False):
    """One scenario of one bundle; which keys it has depends on the scenario."""

    scenario: str
    bundle: str
    runtime: str
    threads: int
    verify: bool
    length: int
    warmup: int
    samples: int
    batch_size: int
    arena: bool
    energy: bool
    seed: int
    soak_minutes: float
    server: ServerSettings
    provider: tuple[str, dict[str, str]] | None
    ids: list[list[int]]
    texts: list[Input]
    data: str
    named: NamedRow
    metric: str
    rows: list[int]
    shapes: Sequence[tuple[int, int, int]]
    precisions: list[str]


class Answer(TypedDict, total=False):
    """The results of a measured process; nanoseconds and bytes are whole numbers."""

    start_ns: int
    import_ns: int
    load_ns: int
    first_ns: int
    hash_ns: int
    cold_start_ns: int
    start_rss: int | None
    import_rss: int | None
    load_rss: int | None
    first_rss: int | None
    end_rss: int | None
    processor: dict[str, int] | None
    hashed: bool
    device_memory_mb: float | None
    latencies_ns: Sequence[int]
    null_ns: Sequence[int]
    power: Power | None
    texts: int
    total_ns: int
    first_pass_ns: int
    together: dict[str, float]
    resident_bytes: list[int] | None
    settings: ServerSettings
    target_qps: float
    achieved_qps: float
    capacity_qps: float
    tried_qps: list[float]
    quality: QualityRow | None
    table: list[list[float]]
    answers: list[Json]
    outputs: list[list[float]]
    not_finite: list[int]
    unusable: str
    operators: list[Operator]
    nodes: list[Operator]
    windows: list[int]
    probe: Probe


Child = Callable[[Job], Answer]
