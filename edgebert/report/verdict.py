"""A run's result in a sentence: how much faster, what was lost, and whether the machine was stable."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from edgebert.measure.document import CaseRow, VerdictRow
from edgebert.report.numbers import number, plain, short, times
from edgebert.report.parts import Tone
from edgebert.report.ratios import difference_of, interval_of, pair_of, ratio_of, shown_interval
from edgebert.report.run import Run, batch_of, defined_quality, lengths_of
from edgebert.runtime.quality import QualityRow

SIGNIFICANT = 0.05
POINT = 0.01
MOST_REASONS = 3
# What a bundle does faster, by the scenario of a ratio.
DOES = {"single_stream": "answers", "offline": "answers batches", "server": "serves", "cold_start": "starts"}


@dataclass(frozen=True)
class Stat:
    """One large figure of the verdict: its meaning and its source."""

    label: str
    value: str
    detail: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Verdict:
    """One bundle compared with its baseline."""

    bundle: str
    sentence: str
    conditions: str
    stats: tuple[Stat, ...]


@dataclass(frozen=True)
class Steadiness:
    """Whether the machine was disturbed during measurement; None if the result does not say."""

    disturbed: bool | None
    text: str


def verdicts(run: Run) -> list[Verdict]:
    """One verdict per bundle, in the order of measurement."""
    baseline = run.baseline() if run.cases else None
    return [_verdict(run, baseline, case) for case in (run.bundles() if run.cases else [])]


def steadiness(run: Run) -> Steadiness:
    """What the result says about the machine: its state, and whether INT8 sums saturated on it."""
    found = _state(run)
    saturating = (run.document.get("verdict") or {}).get("saturating")
    told = "".join(f" {plain(sentence)}." for sentence in saturating) if isinstance(saturating, list) else ""
    return replace(found, text=found.text + told)


def _state(run: Run) -> Steadiness:
    """What the result says about the machine's state."""
    stopped = "" if run.document.get("finished", True) else "The run was stopped before its end. "
    verdict = run.document.get("verdict")
    if isinstance(verdict, dict) and isinstance(verdict.get("disturbed"), bool):
        if verdict["disturbed"]:
            return Steadiness(True, f"{stopped}The machine was disturbed while this ran: {_reasons(verdict)}.")
        return Steadiness(False, f"{stopped}The machine was not disturbed while this ran.")
    text = f"{stopped}Whether the machine was disturbed was not recorded."
    load = run.environment.get("load_average")
    if isinstance(load, list) and load and number(load[0]) is not None:
        text += f" Its load average before the run was {load[0]:.2f} on {run.environment.get('cores', '?')} cores."
    return Steadiness(None, text)


def _reasons(verdict: VerdictRow) -> str:
    reasons = [plain(reason) for reason in verdict.get("reasons") or []]
    more = f"; {len(reasons) - MOST_REASONS} more under Machine" if len(reasons) > MOST_REASONS else ""
    return "; ".join(reasons[:MOST_REASONS]) + more if reasons else "no reason recorded"


def name_of(case: CaseRow) -> str:
    """A bundle's name, with a part that tells it apart from others of the run."""
    variant = case["variant"]
    return str(case["bundle"]) + variant.removeprefix("bundle") if variant.startswith("bundle") else str(variant)


def _verdict(run: Run, baseline: CaseRow | None, case: CaseRow) -> Verdict:
    clauses = ["was measured without a baseline, so its speed-up is unknown"]
    if baseline:
        clauses = [_speed(run, case), _size(baseline, case), _quality(run, baseline, case), _same(case)]
    told = [clause for clause in clauses if clause]
    ending = " and ".join(filter(None, [", ".join(told[:-1]), told[-1]])) if told else "has no latency in this result"
    conditions = f"{lengths_of(case)}, {batch_of(case)}, {case['threads']} thread{'s' * (case['threads'] != 1)}"
    where = "" if case["target"] == "local" else f", {case['target']}"
    stats = (_speed_stat(run, case), _latency_stat(baseline, case), *_rest(run, baseline, case))
    return Verdict(
        name_of(case),
        f"{name_of(case)} {ending}.",
        f"{run.machine}{where}; {case['scenario'].replace('_', ' ')}, {conditions}, {case['runtime']}",
        tuple(stat for stat in stats if stat),
    )


def _speed(run: Run, case: CaseRow) -> str:
    ratio = ratio_of(run, case)
    if not ratio or case["scenario"] not in DOES:
        return ""
    value, interval, does = ratio["value"], interval_of(ratio), DOES[case["scenario"]]
    if interval is None:
        return f"{does} {short(value)} times as fast as its full-precision baseline, with {shown_interval(ratio)}"
    low, high = interval
    if low > 1:
        return f"{does} {short(value)} times faster than its full-precision baseline ({_interval(low, high)})"
    if low > 0 and high < 1:
        slower = f"takes {short(1 / value)} times as long as its full-precision baseline"
        return f"{slower} ({_interval(1 / high, 1 / low)})"
    same = f"{does} neither faster nor slower than its full-precision baseline as far as this run can tell"
    return f"{same} (ratio {short(value)}, {_interval(low, high)})"


def _interval(low: float, high: float) -> str:
    return f"95% interval {short(low)} to {short(high)}"


def _size(baseline: CaseRow, case: CaseRow) -> str:
    before, after = baseline.get("size_mb"), case.get("size_mb")
    if not before or not after:
        return ""
    if before / after >= 1.005:
        return f"is {short(before / after)} times smaller"
    return "is no smaller" if after / before < 1.005 else f"is {short(after / before)} times larger"


def _quality(run: Run, baseline: CaseRow, case: CaseRow) -> str:
    """How quality changed, and whether the change could be chance."""
    before, after = defined_quality(baseline), defined_quality(case)
    if not before or not after or before["metric"] != after["metric"]:
        return f"has {_metric(after)} {after['value']:.4f}" if after else ""
    points = (after["value"] - before["value"]) / POINT
    tests = [_change(run, baseline, case), _chance(_p_value(run, baseline, case))]
    figures = "; ".join(filter(None, [f"{after['value']:.4f} against {before['value']:.4f}", *tests]))
    if abs(points) < 0.005:
        return f"keeps its {_metric(after)} ({figures})"
    if points > 0:
        return f"loses no {_metric(after)} ({figures})"
    return f"loses {short(-points, 2)} points of {_metric(after)} ({figures})"


def _change(run: Run, baseline: CaseRow | None, case: CaseRow) -> str:
    """Interval of the paired difference, in points."""
    difference = difference_of(run, baseline["variant"], case["variant"]) if baseline else None
    low, high = (number(difference.get(key)) for key in ("ci_low", "ci_high")) if difference else (None, None)
    return "" if low is None or high is None else f"95% interval {low / POINT:+.2f} to {high / POINT:+.2f} points"


def _same(case: CaseRow) -> str:
    """Share of answers equal to those of the machine that sent the bundle."""
    agreement = case.get("agreement") or {}
    equal, texts = number(agreement.get("equal")), number(agreement.get("n"))
    if equal is None or not texts:
        return ""
    return f"gives the same answer on {case['target']} as here for {equal:,.0f} of {texts:,.0f} texts"


def _chance(p_value: float | None) -> str:
    if p_value is None:
        return ""
    return f"McNemar p {_p(p_value)}, {'within' if p_value >= SIGNIFICANT else 'beyond'} chance"


def _p(p_value: float) -> str:
    return "< 0.001" if p_value < 0.001 else f"= {p_value:.3f}" if p_value < 0.1 else f"= {p_value:.2f}"


def _p_value(run: Run, baseline: CaseRow | None, case: CaseRow) -> float | None:
    pair = pair_of(run, baseline["variant"], case["variant"]) if baseline else None
    return number(pair.get("p_value")) if pair else None


def _metric(quality: QualityRow) -> str:
    return str(quality["metric"]).replace("_", " ")


def _speed_stat(run: Run, case: CaseRow) -> Stat | None:
    ratio = ratio_of(run, case)
    if not ratio or case["scenario"] not in DOES:
        return None
    low, high = interval_of(ratio) or (0.0, math.inf)
    tone: Tone = "good" if low > 1 else "bad" if high < 1 else "plain"
    about = "ratio of medians" if case["scenario"] == "single_stream" else case["scenario"].replace("_", " ")
    shown = shown_interval(ratio)
    detail = f"{'95% interval ' * (interval_of(ratio) is not None)}{shown}, {about}"
    return Stat("Times faster", times(ratio["value"]), detail, tone)


def _latency_stat(baseline: CaseRow | None, case: CaseRow) -> Stat | None:
    p50_ms = case.get("p50_ms")
    if p50_ms is None:
        return None
    tail = [f"{at} {short(ms)}" for at in ("p90", "p99") if (ms := number(case.get(f"{at}_ms")))]
    before = baseline.get("p50_ms") if baseline else None
    detail = "; ".join(filter(None, [f"from {short(before)} ms" if before else "", ", ".join(tail)]))
    return Stat("Median latency", f"{short(p50_ms)} ms", detail)


def _rest(run: Run, baseline: CaseRow | None, case: CaseRow) -> list[Stat]:
    """Describe quality, size and memory."""
    stats = []
    before, after = defined_quality(baseline), defined_quality(case)
    if after:
        points = (after["value"] - before["value"]) / POINT if before else None
        p_value = _p_value(run, baseline, case)
        tested = f"McNemar p {_p(p_value)}" if p_value is not None else ""
        change = f"{points:+.2f} points" if points is not None else ""
        interval = _change(run, baseline, case).removeprefix("95% interval ").removesuffix(" points")
        texts = f"{after['n']:,} {after.get('counts', 'texts')}" if after.get("n") else ""
        lost = points is not None and points < 0 and p_value is not None and p_value < SIGNIFICANT
        detail = _joined(f"{change} ({interval})" if interval else change, texts, tested)
        stats.append(Stat(_metric(after), f"{after['value']:.4f}", detail, "bad" if lost else "plain"))
    for label, key in (("Model size", "size_mb"), ("Peak memory", "peak_rss_mb")):
        if size := number(case.get(key)):
            start = number(baseline.get(key)) if baseline else None
            earlier = f"from {short(start)} MB" if start else ""
            detail = _joined(earlier, _less(start / size) if start else "")
            stats.append(Stat(label, f"{short(size)} MB", detail))
    return stats


def _less(ratio: float) -> str:
    if 0.995 < ratio < 1.005 or not 1e-9 < ratio < 1e9:  # sizes that no file has say nothing
        return ""
    return f"{times(ratio)} smaller" if ratio > 1 else f"{times(1 / ratio)} larger"


def _joined(*parts: str | None) -> str:
    return ", ".join(filter(None, parts))
