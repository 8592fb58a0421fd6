"""The keys of a `result.json`, as a bench writes them, and reports and checks read them.

The types here describe plain JSON objects, so results of any version are read unchanged and unknown keys are kept.
Older results lack newer keys: read those with `get`. `edgebert.measure.read` checks a file when it is read. It does not
check the values of tables inside a case, so a report reads them with `edgebert.report.numbers.number`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NotRequired, Required, TypedDict

if TYPE_CHECKING:
    from edgebert.data.unknown import UnknownRow
    from edgebert.measure.job import Environment, Operator, Power
    from edgebert.measure.variants import Role
    from edgebert.runtime.cost import Work
    from edgebert.runtime.quality import QualityRow
    from edgebert.strict_json import Json


class DataRow(TypedDict, total=False):
    """The data file that every variant answered."""

    file: str
    sha256: str
    rows: int
    skipped_rows: int
    unknown_labels: UnknownRow


class OutlierRow(TypedDict, total=False):
    """Latencies beyond a limit; they are included in every figure."""

    count: int
    limit_ms: float


class ServerRow(TypedDict, total=False):
    """The highest arrival rate at which a percentile of the latencies stays under a bound."""

    target_qps: float
    target_qps_ci: list[float] | None
    bound_ms: float
    percent: float
    achieved_qps: float
    tolerance_qps: float


class AgreementRow(TypedDict, total=False):
    """Comparison of another machine's answers with this one's; see `edgebert.measure.agreement.compare`."""

    n: int
    equal: int
    share: float
    largest_difference: float | None
    not_finite: int


class RooflineRow(TypedDict, total=False):
    """The work and memory traffic of a prediction, and the share of the machine's peak that it reaches."""

    macs: int
    bytes: int
    peak_gmacs: float | None
    reached_gmacs: float
    share: float | None
    precision: str
    windows: list[int]
    parts: list[Work]


class CaseRow(TypedDict, total=False):
    """One bundle in one scenario; `edgebert.measure.results.Case` explains each figure."""

    bundle: Required[str]
    bundle_hash: Required[str]
    variant: Required[str]
    target: Required[str]
    runtime: Required[str]
    scenario: Required[str]
    batch: Required[int]
    lengths: Required[str]
    threads: Required[int]
    samples: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float | None
    throughput: float | None
    cold_start_ms: float | None
    import_ms: float | None
    load_ms: float | None
    first_ms: float | None
    peak_rss_mb: float | None
    size_mb: float | None
    quality: QualityRow | None
    roofline: RooflineRow | None
    operators: list[Operator] | None
    raw: str | None
    p50_ci: list[float] | None
    p90_ci: list[float] | None
    p99_ci: list[float] | None
    throughput_ci: list[float] | None
    cold_start_ci: list[float] | None
    outliers: OutlierRow | None
    drift: float | None
    spread: float | None
    others: float | None
    arena: bool | None
    memory: dict[str, float] | None
    power: Power | None
    server: ServerRow | None
    device_memory_mb: float | None
    agreement: AgreementRow | None
    emulated: str | None
    role: Role | None
    resident: dict[str, float] | None
    hashed: bool | None
    hash_ms: float | None
    together: dict[str, float] | None
    instead_of: str | None
    precision: str | None


class RatioRow(TypedDict, total=False):
    """Baseline over candidate, with its interval; see `edgebert.measure.statistics.Ratio`."""

    what: Required[str]
    value: Required[float]
    ci_low: float | None
    ci_high: float | None
    rounds: int | None


class WaterfallRow(TypedDict, total=False):
    """One stage: its figures, and its gain over the stage before in speed and size."""

    variant: str
    p50_ms: float | None
    size_mb: float | None
    quality: float | None
    faster: float
    smaller: float


class EstimateInputs(TypedDict):
    """The inputs of an estimate."""

    windows: list[int]
    macs: int
    bytes: int
    efficiency: float
    efficiency_of: str
    peak_gmacs: dict[str, float]
    bandwidth_gb_s: float
    threads: int | None


class EstimateRow(TypedDict):
    """A latency estimated for other hardware; a check also has a reference and the error against it."""

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


class PairRow(TypedDict, total=False):
    """McNemar's test of two variants; see `edgebert.metrics.pairs.Pair`."""

    what: str
    only_first: int
    only_second: int
    p_value: float
    n: int


class DifferenceRow(TypedDict, total=False):
    """A metric of the second variant minus that of the first; see `edgebert.metrics.pairs.Difference`."""

    what: str
    value: float
    ci_low: float | None
    ci_high: float | None
    n: int


class GateRow(TypedDict):
    """The result of one check on one case; None if there was no case to check."""

    gate: str
    failed: bool
    case: str | None
    value: float | None
    limit: float | None
    previous: float | None
    file: str | None


class NullModelRow(TypedDict, total=False):
    """The cost of the timed loop around a model that does nothing."""

    p50_us: float
    samples: int


class VerdictRow(TypedDict, total=False):
    """Whether the machine was disturbed, and by what; variants whose INT8 sums saturated on it."""

    disturbed: bool
    reasons: list[str]
    saturating: list[str]


class ResultDocument(TypedDict, total=False):
    """A whole result; `edgebert.measure.results.Result` explains each part."""

    format: str
    format_version: int
    command: Required[str]
    suite: Required[Mapping[str, Json]]
    data: DataRow | None
    environment: Required[Environment]
    cases: Required[list[CaseRow]]
    ratios: Required[list[RatioRow]]
    waterfall: list[WaterfallRow]
    estimates: list[EstimateRow]
    pairs: list[PairRow]
    differences: list[DifferenceRow]
    null_model: NullModelRow | None
    environment_after: Environment | None
    verdict: VerdictRow | None
    intervals: dict[str, str]
    finished: bool
    gates: list[GateRow]
