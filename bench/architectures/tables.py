"""Format the result as Markdown: models, latencies, memory, and each quoted claim with the measured ratios."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.architectures.claims import CLAIMS, LATENCY, MEMORY, Claim
from bench.architectures.figures import ABOVE_RUNTIME
from bench.architectures.jobs import tokens_said

Document = dict[str, Any]
NAMES = {"onnxruntime": "ONNX Runtime", "pytorch": "PyTorch"}


def markdown(document: Document) -> str:
    """Format all tables, and the verdict on the run."""
    parts = [_title(document), _models(document), _latencies(document), _memory(document), _claims(document)]
    return "\n\n".join([part for part in parts if part] + [_verdict(document)]) + "\n"


def _title(document: Document) -> str:
    settings, machine = document["settings"], document["environment"]
    lines = [
        "# Encoder, decoder, encoder-decoder",
        "",
        f"{machine['cpu']}, {settings['threads']} thread, batch 1, FP32, random weights (seed {settings['seed']}); "
        f"{settings['rounds']} rounds of fresh processes, interleaved; medians, 95% intervals over rounds.",
    ]
    if settings["tiny"]:
        lines.append("Tiny models: the figures show that the scripts work, and nothing else.")
    if not document["finished"]:
        lines.append("Not finished: what stands here is what was measured before the run was stopped.")
    return "\n".join(lines)


def _models(document: Document) -> str:
    rows = [
        [
            each["architecture"],
            each["model"],
            f"{each['parameters']['all'] / 1e6:.1f}",
            f"{each['parameters']['word_table'] / 1e6:.1f}",
            f"{max(check['logits_apart'] for check in each['checks']):.1e}",
        ]
        for each in document["models"]
    ]
    head = ["architecture", "model", "million parameters", "of them the word table", "ONNX from PyTorch, largest"]
    return _table(head, rows)


def _latencies(document: Document) -> str:
    rows = [
        [each["job"], NAMES[each["runtime"]], each["architecture"], _generated(at), _interval(at), each["samples"]]
        for each in document["cases"]
        for at in each.get("latency", [])
    ]
    head = ["job", "runtime", "architecture", "generated", "p50 ms", "samples"]
    return _table(head, rows) if rows else ""


def _memory(document: Document) -> str:
    rows = [
        [
            each["job"],
            NAMES[each["runtime"]],
            each["architecture"],
            each["memory"]["peak_mb"],
            each["memory"]["above_runtime_mb"],
        ]
        for each in document["cases"]
        if "memory" in each
    ]
    return _table(["job", "runtime", "architecture", "peak RSS MB", "above the runtime's own MB"], rows) if rows else ""


def _claims(document: Document) -> str:
    """Format the claims: one row per figure that a claim is about, and two columns per runtime."""
    runtimes = document["settings"]["runtimes"]
    rows = [row for claim in CLAIMS for row in _claim_rows(claim, document["ratios"], runtimes)]
    columns = [cell for runtime in runtimes for cell in (NAMES[runtime], "so it is")]
    return (
        "## What is quoted, and what came out\n\n" + _table(["usually quoted", "held to", "job", *columns], rows)
        if rows
        else ""
    )


def _claim_rows(claim: Claim, ratios: Sequence[dict[str, Any]], runtimes: Sequence[str]) -> list[list[Any]]:
    rows: dict[tuple[str, ...], dict[str, dict[str, Any]]] = {}
    for ratio in ratios:
        if ratio["quantity"].startswith(claim.quantity) and ratio["architecture"] in claim.architectures:
            held = ratio["architecture"] + (", above the runtime's own" if ratio["quantity"] == ABOVE_RUNTIME else "")
            job = f"{ratio['job']}, {tokens_said(ratio['generated'])}" if claim.quantity == LATENCY else ratio["job"]
            rows.setdefault((held, job), {})[ratio["runtime"]] = ratio
    order = sorted(rows, key=lambda row: claim.architectures.index(row[0].split(",")[0]))
    return [
        [claim.said, *row, *(cell for runtime in runtimes for cell in _cells(rows[row].get(runtime)))] for row in order
    ]


def _cells(ratio: dict[str, Any] | None) -> list[str]:
    if ratio is None:
        return ["", ""]
    value, bounds = ratio["value"], [ratio[key] for key in ("ci_low", "ci_high") if ratio[key] is not None]
    if ratio["quantity"].startswith(MEMORY):
        less, *bounds = (100 * (1 - 1 / each) for each in (value, *bounds))
        shown = f"{less:.0f}% less" if less >= 0 else f"{-less:.0f}% more"
        interval = " to ".join(f"{bound:.0f}" for bound in bounds) + "% less"
    else:
        shown, interval = f"{value:.2f}x", " to ".join(f"{bound:.2f}" for bound in bounds)
    return [f"{shown} ({interval if bounds else 'no interval'})", ratio["judged"]]


def _generated(at: dict[str, Any]) -> str:
    return tokens_said(at["generated"]) if at["generated"] else "none"


def _interval(at: dict[str, Any]) -> str:
    if at["p50_ci"] is None:
        return f"{at['p50_ms']:.1f} (no interval)"
    low, high = at["p50_ci"]
    return f"{at['p50_ms']:.1f} ({low:.1f} to {high:.1f})"


def _verdict(document: Document) -> str:
    found = document.get("verdict")
    if not found or not found["disturbed"]:
        return "The run does not call its machine disturbed."
    return "The machine was disturbed:\n\n" + "\n".join(f"- {reason}" for reason in found["reasons"])


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
