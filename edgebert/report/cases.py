"""All cases of a run in tables, one per scenario."""

from __future__ import annotations

from collections.abc import Callable

from edgebert.measure.document import CaseRow
from edgebert.measure.read import role_of
from edgebert.report.numbers import between, number, plain, short, times
from edgebert.report.parts import Cell, Column, Section, Table, table
from edgebert.report.ratios import ratio_of, shown_interval
from edgebert.report.run import Run, batch_of, length_of, lengths_of

VARYING = ("lengths", "batch", "threads", "target")


def cases_section(run: Run) -> Section:
    """All measured cases, with every interval in the result."""
    about = (
        f"Small figures are 95% intervals: {run.interval_remark}. Times in milliseconds, sizes and memory in MB of 10⁶ "
        "bytes."
    )
    scenarios = dict.fromkeys(case["scenario"] for case in run.cases)
    if any(run.start_remark(case) for case in run.cases):
        about += " Cold starts and loading leave out checking the hashes of a bundle's files, which edgebert.load does."
    emulated = dict.fromkeys(str(case["emulated"]) for case in run.cases if case.get("emulated"))
    if emulated:
        about += f" Emulated ({', '.join(emulated)}): its answers are valid; its times mean nothing and are not shown."
    ordered = [sorted(run.of_scenario(scenario), key=length_of) for scenario in scenarios]
    return Section("Cases", about, tables=tuple(_table(run, cases) for cases in ordered))


def variant_cell(case: CaseRow) -> Cell:
    """A variant's name, marked with its role, and its runtime."""
    instead = f", in place of {case['instead_of']}" if case.get("instead_of") else ""
    under = str(case["runtime"]) + instead + (", arena off" if case.get("arena") is False else "")
    return Cell(case["variant"], under, mark=role_of(case))


def faster_cell(run: Run, case: CaseRow) -> Cell | None:
    """How many times faster than the baseline, inside this run."""
    ratio = ratio_of(run, case)
    return Cell(times(ratio["value"]), shown_interval(ratio)) if ratio else None


def quality_cell(case: CaseRow) -> Cell | None:
    """The metric's value with its interval."""
    quality = case.get("quality")
    if not quality:
        return None
    low, high = quality.get("ci_low"), quality.get("ci_high")
    if quality.get("lacks"):
        return Cell("undefined", f"without {quality['lacks']}")
    return Cell(f"{quality['value']:.4f}", "" if low is None or high is None else f"{low:.3f}–{high:.3f}")


def figure_cell(key: str, interval: str = "", none: str = "") -> Callable[[CaseRow], Cell | None]:
    """A figure of a case by its key, with its interval if there is a key for it; `none` is shown if it is missing."""

    def cell(case: CaseRow) -> Cell | None:
        value = number(case.get(key))
        if value is None:
            return None
        bounds = case.get(interval) if interval else None
        if isinstance(bounds, list) and bounds:
            return Cell(short(value), between(*bounds))
        return Cell(short(value), "" if interval and interval not in case else none)

    return cell


def _table(run: Run, cases: list[CaseRow]) -> Table:
    varying = [key for key in VARYING if len({case.get(key) for case in cases}) > 1]
    metrics = dict.fromkeys(quality["metric"] for case in cases if (quality := case.get("quality")))
    words = [key for key in varying if key in ("lengths", "target")]
    columns: list[Column[CaseRow]] = [
        ("variant", variant_cell),
        *((key, _condition(key)) for key in varying),
        ("p50", figure_cell("p50_ms", "p50_ci", "no interval")),
        ("p90", figure_cell("p90_ms", "p90_ci", "no interval")),
        ("p99", figure_cell("p99_ms", "p99_ci", "no interval")),
        (_gain(cases), lambda case: faster_cell(run, case)),
        ("texts/s", figure_cell("throughput", "throughput_ci")),
        ("run together", _together_cell),
        ("server", _server_cell),
        ("cold start", figure_cell("cold_start_ms", "cold_start_ci")),
        ("of it hashes", figure_cell("hash_ms")),
        ("peak RSS", figure_cell("peak_rss_mb")),
        ("RSS, start to end", _resident_cell),
        ("GPU memory", figure_cell("device_memory_mb")),
        ("model", figure_cell("size_mb")),
        (" / ".join(metrics).replace("_", " ") or "quality", quality_cell),
        ("J/text", _joules_cell),
        ("same answers", _agreement_cell),
        ("samples", _samples_cell),
    ]
    return table(_caption(cases, varying), columns, cases, words)


def _caption(cases: list[CaseRow], varying: list[str]) -> str:
    first = cases[0]
    same = {
        "lengths": lengths_of(first),
        "batch": batch_of(first),
        "threads": f"{first['threads']} thread{'s' * (first['threads'] != 1)}",
        "target": "" if first["target"] == "local" else f"on {first['target']}",
    }
    told = [text for key, text in same.items() if text and key not in varying]
    name = str(first["scenario"]).replace("_", " ")
    return ", ".join([name[:1].upper() + name[1:], *told])


def _condition(key: str) -> Callable[[CaseRow], Cell]:
    return lambda case: Cell(lengths_of(case) if key == "lengths" else str(case.get(key)))


def _samples_cell(case: CaseRow) -> Cell | None:
    return Cell(f"{case['samples']:,}") if case.get("samples") else None


def _resident_cell(case: CaseRow) -> Cell | None:
    """Resident memory at the start and the end of a soak."""
    resident = case.get("resident") or {}
    start, end = (number(resident.get(key)) for key in ("start_mb", "end_mb"))
    return None if start is None or end is None else Cell(f"{start:.1f}–{end:.1f}")


def _together_cell(case: CaseRow) -> Cell | None:
    """Inputs that ran together in one pass: mean and maximum."""
    together = case.get("together") or {}
    mean, largest = (number(together.get(key)) for key in ("mean", "largest"))
    return None if mean is None or largest is None else Cell(short(mean), f"at most {largest:,.0f}")


def _server_cell(case: CaseRow) -> Cell | None:
    """Load that was answered in time, and its bound."""
    server = case.get("server")
    if not server:
        return None
    achieved, asked = number(server.get("achieved_qps")), number(server.get("target_qps"))
    bound, percent = number(server.get("bound_ms")), number(server.get("percent"))
    asked_for = f"of {short(asked)}" if asked is not None else ""
    in_time = f"p{percent:g} in {short(bound)} ms" if bound and percent else ""
    text = f"{short(achieved)}/s" if achieved is not None else "not reached"
    return Cell(text, ", ".join(filter(None, (asked_for, in_time))))


def _agreement_cell(case: CaseRow) -> Cell | None:
    """Share of texts answered as on the machine that sent the bundle."""
    agreement = case.get("agreement") or {}
    equal, texts, apart = (number(agreement.get(key)) for key in ("equal", "n", "largest_difference"))
    if equal is None or not texts:
        return None
    within = f"outputs within {short(apart)}" if apart is not None else ""
    unsound = number(agreement.get("not_finite"))
    return Cell(f"{equal:,.0f} of {texts:,.0f}", f"{unsound:,.0f} outputs not finite" if unsound else within)


def _gain(cases: list[CaseRow]) -> str:
    return "smaller" if cases[0]["scenario"] == "memory" else "faster"


def _joules_cell(case: CaseRow) -> Cell | None:
    power = case.get("power")
    joules = number(power.get("joules_per_inference")) if power else None
    return None if power is None or joules is None else Cell(short(joules), plain(power.get("source")))
