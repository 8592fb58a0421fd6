"""Show a bench result as text: one table per scenario, then comparisons, then the verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgebert.commands.output import table, write
from edgebert.manifest_data import QualityEntry
from edgebert.measure.document import WaterfallRow
from edgebert.measure.results import Case, Result
from edgebert.measure.scenarios.memory import MARKS
from edgebert.measure.statistics import Ratio
from edgebert.metrics.pairs import Difference
from edgebert.runtime.quality import labels_unknown, units_in
from edgebert.runtime.quality import shown as shown_quality
from edgebert.settings import fill

# Reasons of a disturbed machine that are printed; result.json has all.
MAX_REASONS = 5
SINGLE = ("quality", "p50 ms", "p90", "95% of p90", "p99", "samples", "texts/s", "cold ms", "RSS MB", "model MB")
SERVER = ("texts/s", "at p", "under ms", "p50 ms", "p90", "p99")
OFFLINE = ("texts/s", "run together: mean", "largest", "allowed")
START = ("cold ms", "95% of cold: low", "high", "import", "load", "of it hashes", "first")
MEMORY = ("arena", "import MB", "load", "first", "steady")
SOAK = ("texts", "p50 ms", "p90", "p99", "drift", "start MB", "end", "peak")


def show(result: Result) -> None:
    """Write the tables to stdout."""
    if agreements := [case for case in result.cases if case.agreement]:
        _show_agreement(agreements)
    else:
        _show_cases(result)
    if forms := {case.variant: case.precision for case in result.cases if case.precision}:
        write(f"precision: {', '.join(f'{variant} {precision}' for variant, precision in forms.items())}")
    for sentence in (result.verdict or {}).get("saturating", []):
        write(f"saturating: {sentence}")
    for line in labels_unknown([case.quality for case in result.cases]):
        write(f"labels: {line}")


def _show_cases(result: Result) -> None:
    offline = {case.variant: case.throughput for case in result.cases if case.scenario == "offline"}
    _table("", SINGLE, _of(result, "single_stream"), lambda case: _single(case, offline))
    _table("server", SERVER, _of(result, "server"), _server)
    _table("cold start", START, _of(result, "cold_start"), _start)
    memory = _of(result, "memory")
    on_gpu = any(case.device_memory_mb is not None for case in memory)
    _table("memory", (*MEMORY, "GPU MB") if on_gpu else MEMORY, memory, _memory)
    _table("soak", SOAK, _of(result, "soak"), _soak)
    if not _of(result, "single_stream"):
        _table("offline", OFFLINE, _of(result, "offline"), _offline)
    for ratio in result.ratios:
        write(f"{ratio.what}: {ratio.value:.2f}x ({_interval(ratio, '.2f', f'{ratio.rounds} rounds')})")
    for difference in result.differences:
        interval = _interval(difference, "+.4f", f"{difference.n} {units_in(case.quality for case in result.cases)}")
        shown = f"{_minus(difference.what)}: {difference.value:+.4f} ({interval})"
        write(f"{shown}{_mcnemar(result, difference.what)}")
    if result.waterfall:
        columns = ("stage", "p50 ms", "faster", "model MB", "smaller", "quality")
        write("\n" + table(columns, [_waterfall_row(row) for row in result.waterfall]))
    reasons = (result.verdict or {}).get("reasons", [])
    for reason in reasons[:MAX_REASONS]:
        write(f"disturbed: {reason}")
    if len(reasons) > MAX_REASONS:
        write(f"disturbed: {len(reasons) - MAX_REASONS} more reasons are in result.json")


def _minus(what: str) -> str:
    """Title of a difference; its result file writes it like a ratio, `accuracy: fp32 / bundle`."""
    metric, _, names = what.partition(": ")
    base, between, variant = names.partition(" / ")
    return f"{metric}: {variant} minus {base}" if between else what


def _interval(found: Ratio | Difference, form: str, of: str) -> str:
    low, high = found.ci_low, found.ci_high
    return f"no interval: {of}" if low is None or high is None else f"95% {low:{form}} to {high:{form}}"


def _show_agreement(cases: Sequence[Case]) -> None:
    columns = ("variant", "runtime", "quality there", "texts", "equal answers", "largest difference")
    write(table(columns, [_agreement_row(case) for case in cases]))
    write(f"emulated ({cases[0].emulated}): answers only, no times")


def _agreement_row(case: Case) -> tuple[str, ...]:
    found = case.agreement or {}
    quality = _quality(case)
    apart = found["largest_difference"]
    told = f"{found['not_finite']} outputs not finite" if apart is None else f"{apart:.2g}"
    return case.variant, case.runtime, quality, str(found["n"]), f"{found['equal']} ({found['share']:.2%})", told


def _quality(case: Case) -> str:
    return shown_quality(fill(QualityEntry, case.quality, "quality", strict=False)) if case.quality else ""


def _of(result: Result, scenario: str) -> list[Case]:
    return [case for case in result.cases if case.scenario == scenario]


def _table(title: str, header: Sequence[str], cases: Sequence[Case], row: Callable[[Case], Sequence[str]]) -> None:
    if cases:
        rows = [(case.variant, case.runtime, case.lengths, *row(case)) for case in cases]
        write(f"{title}\n" * bool(title) + table(("variant", "runtime", "lengths", *header), rows) + "\n")


def _single(case: Case, offline: dict[str, float | None]) -> tuple[str, ...]:
    p50, p90, p99 = _latencies(case)
    return (
        _quality(case),
        *(p50, p90, "-".join(_shown(figure, 3) for figure in case.p90_ci or ()) or "none", p99, str(case.samples)),
        _shown(offline.get(case.variant), 0),
        *(_shown(figure, 0) for figure in (case.cold_start_ms, case.peak_rss_mb)),
        _shown(case.size_mb, 1),
    )


def _server(case: Case) -> tuple[str, ...]:
    server = case.server or {}
    return f"{server['target_qps']:.1f}", f"{server['percent']:g}", f"{server['bound_ms']:g}", *_latencies(case)


def _offline(case: Case) -> tuple[str, ...]:
    together = case.together or {}
    sizes = (_shown(together.get("mean"), 1), _shown(together.get("largest"), 0))
    return _shown(case.throughput, 0), *sizes, str(case.batch)


def _start(case: Case) -> tuple[str, ...]:
    low, high = case.cold_start_ci or (None, None)
    times = (case.cold_start_ms, low, high, case.import_ms, case.load_ms, case.hash_ms, case.first_ms)
    return tuple(_shown(ms, 0) for ms in times)


def _memory(case: Case) -> tuple[str, ...]:
    arena = {True: "on", False: "off", None: ""}[case.arena]
    on_gpu = [] if case.device_memory_mb is None else [f"{case.device_memory_mb:.0f}"]
    return arena, *(_shown((case.memory or {}).get(mark), 1) for mark in MARKS), *on_gpu


def _soak(case: Case) -> tuple[str, ...]:
    resident = case.resident or {}
    held = (resident.get("start_mb"), resident.get("end_mb"), case.peak_rss_mb)
    return str(case.samples), *_latencies(case), _shown(case.drift, 3), *(_shown(figure, 1) for figure in held)


def _latencies(case: Case) -> tuple[str, str, str]:
    return _shown(case.p50_ms, 3), _shown(case.p90_ms, 3), _shown(case.p99_ms, 3)


def _shown(figure: float | None, digits: int) -> str:
    return "" if figure is None else f"{figure:.{digits}f}"


def _mcnemar(result: Result, what: str) -> str:
    pair = next((pair for pair in result.pairs if pair.what == what), None)
    if pair is None:
        return ""
    return f"; only one is right on {pair.only_first} / {pair.only_second} texts, McNemar p = {pair.p_value:.2g}"


def _waterfall_row(row: WaterfallRow) -> tuple[object, ...]:
    faster, smaller = f"{row.get('faster', 1):.2f}x", f"{row.get('smaller', 1):.2f}x"
    return row["variant"], row["p50_ms"], faster, row["size_mb"], smaller, row["quality"] or ""
