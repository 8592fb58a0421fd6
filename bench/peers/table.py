"""Format the result as Markdown, with one row per contender."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Document = dict[str, Any]


def markdown(result: Document) -> str:
    """Format a result: a table per kind of length, one of start and memory, and the missing contenders with reasons."""
    kinds = list(dict.fromkeys(case["lengths"] for case in result["cases"]))
    ours = result["suite"]["ours"]
    parts = [_latency(result, kind, ours) for kind in kinds] + [_start(result, kinds[0])] if kinds else []
    if result["suite"]["left_out"]:
        lines = [f"- {name}: {reason}" for name, reason in result["suite"]["left_out"].items()]
        parts.append("Left out:\n\n" + "\n".join(lines))
    reasons = (result["verdict"] or {}).get("reasons", [])
    parts += (
        ["The run calls its machine disturbed:\n\n" + "\n".join(f"- {each}" for each in reasons)] if reasons else []
    )
    return "\n\n".join(parts) + "\n"


def _latency(result: Document, kind: str, ours: Sequence[str]) -> str:
    title = "Natural lengths" if kind == "natural" else f"{kind} tokens"
    header = [title, "quality", "same answers", "p50 ms", "p90", "p99", *(f"{name} is faster by" for name in ours)]
    rows = []
    for case in result["cases"]:
        if case["lengths"] == kind:
            figures = [f"{case[name]:.2f}" for name in ("p50_ms", "p90_ms", "p99_ms")]
            ratios = [_ratio(result, case["variant"], name, kind) for name in ours]
            rows.append([case["variant"], _quality(case), _same(case), *figures, *ratios])
    return _table(header, rows)


def _start(result: Document, kind: str) -> str:
    header = ["Start and size", "cold start ms", "import", "load", "first answer", "peak RSS MB", "files MB"]
    names = ("cold_start_ms", "import_ms", "load_ms", "first_ms", "peak_rss_mb")
    cases = [case for case in result["cases"] if case["lengths"] == kind]
    rows = [[case["variant"], *(f"{case[name]:.0f}" for name in names), f"{case['size_mb']:.1f}"] for case in cases]
    return _table(header, rows)


def _quality(case: Document) -> str:
    return f"{case['quality']['value']:.4f}" if case["quality"] else ""


def _same(case: Document) -> str:
    return f"{case['agreement']['share']:.4f}"


def _ratio(result: Document, peer: str, ours: str, kind: str) -> str:
    for ratio in result["ratios"]:
        if ratio["what"] == what(peer, ours, kind):
            low, high = ratio["ci_low"], ratio["ci_high"]
            interval = "no interval" if low is None else f"{low:.2f} to {high:.2f}"
            return f"{ratio['value']:.2f} ({interval})"
    return ""


def what(peer: str, ours: str, kind: str) -> str:
    """Return the title of a ratio: the peer's median divided by EdgeBERT's."""
    return f"p50, {kind}: {peer} / {ours}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
