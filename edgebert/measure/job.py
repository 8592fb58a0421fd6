"""What a bench asks of a measured process, and what the process answers: JSON objects, checked when they arrive."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from edgebert.measure.suite import Server

# Whatever describes a machine; what is read of it is checked by `edgebert.measure.received`.
Environment = dict[str, Any]
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
    """The rate of matrix products of one precision, 10^9 multiply-accumulates a second."""

    precision: str
    rows: int
    gmacs: float


class Probe(TypedDict, total=False):
    """What a machine reaches at matrix products and at copying memory."""

    peaks: list[Peak]
    copy_gb_s: float
    threads: int
    provider: str
    shapes: list[list[int]]


class Operator(TypedDict, total=False):
    """An operator's share of a prediction: of its type, or of one node, which has shapes too."""

    node: str
    op: str
    count: float
    us: float
    share: float
    inputs: object
    outputs: object


class EstimateInputs(TypedDict):
    """What an estimate was computed from."""

    windows: list[int]
    macs: int
    bytes: int
    efficiency: float
    efficiency_of: str
    peak_gmacs: dict[str, float]
    bandwidth_gb_s: float
    threads: int | None


class Estimate(TypedDict):
    """A latency on hardware that was not measured; a check has a reference and the error beside it."""

    what: str
    model: str
    profile: str
    variant: NotRequired[str]
    lengths: NotRequired[str]
    precision: NotRequired[str]
    value: float
    inputs: EstimateInputs
    reference: float | None
    reference_source: str | None
    error: float | None


class Job(TypedDict, total=False):
    """One scenario of one bundle; which keys there are depends on the scenario."""

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
    seed: int
    soak_minutes: float
    server: ServerSettings
    provider: tuple[str, dict[str, str]] | None
    ids: list[list[int]]
    texts: list[Input]
    data: str
    named: dict[str, Any]
    metric: str
    rows: list[int]
    shapes: Sequence[tuple[int, int, int]]
    precisions: list[str]


class Answer(TypedDict, total=False):
    """What a process measured; nanoseconds and bytes are whole numbers."""

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
    quality: dict[str, Any] | None
    table: list[list[float]]
    answers: list[object]
    outputs: list[list[float]]
    not_finite: list[int]
    unusable: str
    operators: list[Operator]
    nodes: list[Operator]
    windows: list[int]
    probe: Probe


Child = Callable[[Job], Answer]
