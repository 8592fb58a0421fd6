"""The result of a bench: cases, ratios, environment. Written after every case, completely or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import cast

from edgebert.bundle import disk_errors
from edgebert.errors import RunError
from edgebert.measure.document import (
    AgreementRow,
    DataRow,
    EstimateRow,
    GateRow,
    NullModelRow,
    OutlierRow,
    ResultDocument,
    RooflineRow,
    ServerRow,
    VerdictRow,
    WaterfallRow,
)
from edgebert.measure.job import Environment, Operator, Power
from edgebert.measure.read import FORMAT, FORMAT_VERSION, MAX_BYTES, check_result
from edgebert.measure.statistics import METHOD, Ratio
from edgebert.measure.variants import Role
from edgebert.metrics.pairs import Difference, Pair
from edgebert.metrics.scores import TEXTS_METHOD
from edgebert.runtime.quality import QualityRow
from edgebert.strict_json import Json, parse_json
from edgebert.whole_file import write_whole


@dataclass
class Case:
    """One bundle in one scenario. Times in milliseconds, sizes in MB of 10^6 bytes, throughput in texts per second.

    Attributes:
        instead_of: The bundle's default runtime, if it cannot run on the machine and `runtime` replaces it.
        precision: The bundle's precision, as its manifest has it; older results lack it.
        role: Role of the variant: `baseline`, `stage` or `bundle`; older results lack it.
        batch: Maximum number of inputs that run together: the suite's `batch_size` in the offline scenario.
        together: What actually ran together: windows in the `largest` and in the `mean` batch. A session only batches
            texts if that is faster, so both may be smaller than `batch`; older results lack it.
        p50_ms: Geometric mean over processes of each process's median; the same for other percentiles, times, rates and
            memory. Results without a named interval method have percentiles of all latencies together, and medians of
            other figures.
        p50_ci: 95% interval of `p50_ms`, low and high; None for fewer than three processes. The same for other `_ci`.
        hashed: Whether cold start and loading include checking the hashes of the bundle's files, as `edgebert.load`
            does; None in older results of `edgebert bench`, which left it out.
        hash_ms: Duration of that check once the files are in the page cache.
        outliers: `count` of latencies beyond `limit_ms`; they are included in every figure.
        drift: Median of a process's last third divided by that of its first third, for the process with the worst
            value.
        spread: Slowest process divided by the fastest, by their medians.
        others: Number of cores that other processes kept busy meanwhile.
        arena: Whether ONNX Runtime's memory arena was on, if the scenario sets it.
        memory: High-water marks after `import_mb`, `load_mb`, `first_mb` (the first answer) and `steady_mb`.
        resident: Resident memory at the start and at the end of a soak, `start_mb` and `end_mb`.
        device_memory_mb: Peak of the GPU's memory above what was in use before.
        power: `joules_per_inference` and its `source`.
        server: `target_qps`, the highest arrival rate whose latency at `percent` stays under `bound_ms`.
    """

    bundle: str
    bundle_hash: str
    variant: str
    target: str
    runtime: str
    scenario: str
    batch: int
    lengths: str
    threads: int
    samples: int = 0
    p50_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    mean_ms: float | None = None
    throughput: float | None = None
    cold_start_ms: float | None = None
    import_ms: float | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    peak_rss_mb: float | None = None
    size_mb: float | None = None
    quality: QualityRow | None = None
    roofline: RooflineRow | None = None
    operators: list[Operator] | None = None
    raw: str | None = None
    p50_ci: list[float] | None = None
    p90_ci: list[float] | None = None
    p99_ci: list[float] | None = None
    throughput_ci: list[float] | None = None
    cold_start_ci: list[float] | None = None
    outliers: OutlierRow | None = None
    drift: float | None = None
    spread: float | None = None
    others: float | None = None
    arena: bool | None = None
    memory: dict[str, float] | None = None
    power: Power | None = None
    server: ServerRow | None = None
    device_memory_mb: float | None = None
    agreement: AgreementRow | None = None
    emulated: str | None = None
    role: Role | None = None
    resident: dict[str, float] | None = None
    hashed: bool | None = None
    hash_ms: float | None = None
    together: dict[str, float] | None = None
    instead_of: str | None = None
    precision: str | None = None


@dataclass
class Result:
    """Everything that one bench found.

    `intervals` names the method of the 95% intervals over `rounds` and over `texts`; `finished` is true if nothing
    stopped the run.
    """

    command: str
    suite: Mapping[str, Json]
    data: DataRow | None
    environment: Environment
    cases: list[Case] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    waterfall: list[WaterfallRow] = field(default_factory=list)
    estimates: list[EstimateRow] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    null_model: NullModelRow | None = None
    environment_after: Environment | None = None
    verdict: VerdictRow | None = None
    intervals: dict[str, str] = field(default_factory=lambda: {"rounds": METHOD, "texts": TEXTS_METHOD})
    finished: bool = False
    gates: list[GateRow] = field(default_factory=list)

    def as_dict(self) -> ResultDocument:
        """Return a plain dictionary in the form of the contract."""
        return cast("ResultDocument", {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self)})

    def write(self, folder: Path) -> Path:
        """Write `result.json`, if it can be read again.

        Raises:
            DiskError: The folder cannot be written.
            RunError: It has invalid values; an existing file is unchanged.
        """
        path, document = folder / "result.json", self.as_dict()
        text = f"{json.dumps(document, indent=1, ensure_ascii=False)}\n"
        try:
            if (size := len(text.encode("utf-8", "replace"))) > MAX_BYTES:
                raise ValueError(f"it has {size / 1e6:.0f} MB, but at most {MAX_BYTES >> 20} MB can be read again")
            check_result(parse_json(text, finite=False))
        except ValueError as error:
            raise RunError(f"{path}: not written, {error}; run the same command again") from None
        _write(path, text)
        return path


def write_json(path: Path, document: object) -> None:
    """Write a JSON file under a temporary name, then rename it.

    Raises:
        DiskError: The folder cannot be written.
    """
    _write(path, f"{json.dumps(document, indent=1, ensure_ascii=False)}\n")


def _write(path: Path, text: str) -> None:
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
