"""Recorded results as tables: bench/results/*/result.json by task and by machine."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"
# A page of docs/results/tasks/, and the data sets in the names of its runs. Longer names come before their beginnings.
TASKS = {
    "multi-label": ("snips-slot-types",),
    "regression": ("stsb-pairs",),
    "intents-and-slots": ("snips",),
    "similarity": ("stsb",),
    "token-classification": ("wnut17",),
    "question-answering": ("squad",),
    "fill-mask": ("movie-reviews",),
    "bert-base": ("bert-base",),
    "text-classification": ("sst2", "peers-cuda"),
}
# A page of docs/results/machines/, and its title.
MACHINES = {
    "zen5": "Zen 5 EPYC",
    "zen4": "Zen 4 EPYC",
    "zen3": "Zen 3 EPYC",
    "xeon-amx": "Xeon with AMX",
    "h200": "NVIDIA H200",
    "emulated-arm": "emulated ARM",
}
FAMILIES = {"26/2": "zen5", "25/17": "zen4", "25/1": "zen3", "6/167": "xeon-amx", "6/207": "xeon-amx"}
RATIO = re.compile(r"\| (\S+) \| (.+?) \| \d+ \| .+? \| (.+?) \|")
BASELINES = ("fp32", "ONNX Runtime FP32")


@dataclass(frozen=True)
class Run:
    """One folder of recorded results, with the pages that it belongs to."""

    name: str
    task: str
    machine: str
    result: dict[str, Any]

    @property
    def peers(self) -> bool:
        """Whether other toolkits were measured."""
        return "peers" in self.name and self.machine != "emulated-arm"

    def cases(self, scenario: str) -> list[dict[str, Any]]:
        """The measurements of one scenario."""
        return [case for case in self.result["cases"] if case["scenario"] == scenario]


def task_of(name: str) -> str:
    """The page of the task that a run measured, by the data set in the run's name."""
    found = (page for page, sets in TASKS.items() for one in sets if one in name)
    return next(found)


def machine_of(result: dict[str, Any]) -> str:
    """The page of the machine that a result comes from."""
    environment = result["environment"]
    if any(case["target"].startswith("qemu://") for case in result["cases"]):
        return "emulated-arm"
    if environment.get("gpu"):
        return "h200"
    return FAMILIES[environment["family_model"]]


@cache
def runs() -> tuple[Run, ...]:
    """Every recorded run, the oldest first."""
    found = []
    for path in sorted(RESULTS.glob("*/result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        found.append(Run(path.parent.name, task_of(path.parent.name), machine_of(result), result))
    return tuple(found)


@cache
def recomputed() -> dict[tuple[str, str], str]:
    """Ratios with today's intervals, by run and by what is divided."""
    text = (RESULTS / "intervals.md").read_text(encoding="utf-8")
    return {(run, what): ratio for run, what, ratio in RATIO.findall(text)}


def made(marker: str) -> str:
    """The tables that a marker of a page stands for: `task NAME`, `machine NAME` or `peers`."""
    if marker == "peers":
        return "\n".join(peers(run) for run in runs() if run.peers)
    by, name = marker.split()
    if by == "task":
        groups = {f"On {title}": [run for run in runs() if run.task == name and run.machine == at]
                  for at, title in MACHINES.items()}  # fmt: skip
    else:
        groups = {words(task): [run for run in runs() if run.machine == name and run.task == task] for task in TASKS}
    return "\n".join(group(title, chosen) for title, chosen in groups.items() if chosen)


def words(page: str) -> str:
    """A page's title."""
    title = (ROOT / "docs" / "results" / "tasks" / f"{page}.md").read_text(encoding="utf-8").partition("\n")[0]
    return title.removeprefix("# ")


def group(title: str, chosen: list[Run]) -> str:
    """The tables of runs that belong together."""
    ours = [run for run in chosen if not run.peers]
    text = "".join(table(columns, [row for run in ours for row in rows(run)]) for columns, rows in TABLES)
    if others := [f"`{run.name}`" for run in chosen if run.peers]:
        text += f"Beside other toolkits: {', '.join(others)}.\n"
    if disturbed := [f"`{run.name}`" for run in ours if (run.result.get("verdict") or {}).get("disturbed")]:
        text += f"\nRuns that call their machine disturbed: {', '.join(disturbed)}.\n"
    return f"### {title}\n\n{text}"


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table, or nothing without rows; a cell like the one above it in the first column is left empty."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(columns) + " |\n", "|---" * len(columns) + "|\n"]
    above = ""
    for first, *rest in rows:
        lines.append("| " + " | ".join(("" if first == above else first, *rest)) + " |\n")
        above = first
    return "".join(lines) + "\n"


def length(case: dict[str, Any]) -> str:
    """The length of a case's texts in words."""
    return "natural" if case["lengths"] == "natural" else f"{case['lengths']} tokens"


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or nothing where it was not measured."""
    return "" if value is None else f"{value:,.{digits}f}"


def latency(run: Run) -> list[tuple[str, ...]]:
    """Single-stream latencies of every variant, with the ratio to the baseline."""
    return [
        (f"`{run.name}`", case["variant"], length(case), number(case["p50_ms"]), ratio(run, case))
        for case in run.cases("single_stream")
    ]


def ratio(run: Run, case: dict[str, Any]) -> str:
    """How many times faster a case is than the baseline of its run, with the interval; nothing for the baseline."""
    if case["variant"] in BASELINES:
        return ""
    at = "natural lengths" if case["lengths"] == "natural" else f"{case['lengths']} tokens"
    what = f"p50, {at}: fp32 / {case['variant']}"
    if (run.name, what) in recomputed():
        return recomputed()[run.name, what]
    found = [one for one in run.result["ratios"] if one["what"] == what]
    return f"{found[0]['value']:.2f} ({found[0]['ci_low']:.2f} to {found[0]['ci_high']:.2f})" if found else ""


def once(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first case of every variant."""
    return list({case["variant"]: case for case in reversed(cases)}.values())[::-1]


def size(run: Run) -> list[tuple[str, ...]]:
    """Start, memory and size of every variant."""
    keys = ("cold_start_ms", "peak_rss_mb", "size_mb")
    cases = once(run.cases("single_stream"))
    return [(f"`{run.name}`", case["variant"], *(number(case[key], 1) for key in keys)) for case in cases]


def quality(run: Run) -> list[tuple[str, ...]]:
    """Quality of every variant."""
    rows: list[tuple[str, ...]] = []
    for case in once([case for case in run.result["cases"] if case["quality"] and case["scenario"] != "agreement"]):
        found = case["quality"]
        low, high = found.get("ci_low"), found.get("ci_high")
        value = f"{found['value']:.4f}" + ("" if low is None else f" ({low:.4f} to {high:.4f})")
        rows.append((f"`{run.name}`", case["variant"], found["metric"], value, f"{found['n']:,}"))
    return rows


def rates(run: Run) -> list[tuple[str, ...]]:
    """Offline throughput, and the rate that the server scenario sustained."""
    offline = {case["variant"]: case["throughput"] for case in run.cases("offline")}
    served = {case["variant"]: (case["server"] or {}).get("target_qps") for case in run.cases("server")}
    return [
        (f"`{run.name}`", variant, number(offline.get(variant), 0), number(served.get(variant), 0))
        for variant in dict.fromkeys((*offline, *served))
    ]


def equal(run: Run) -> list[tuple[str, ...]]:
    """Answers of an emulated processor that are those of the machine it ran on."""
    rows: list[tuple[str, ...]] = []
    for case in run.cases("agreement"):
        found, core = case["agreement"], case["target"].removeprefix("qemu://")
        figures = (str(found["n"]), str(found["equal"]), f"{found['largest_difference']:.2g}")
        rows.append((f"`{run.name}`", f"{case['variant']}, {core}", *figures))
    return rows


def peers(run: Run) -> str:
    """The contenders of one run: quality, and p50 at up to three lengths."""
    cases = run.cases("single_stream")
    lengths = list(dict.fromkeys(case["lengths"] for case in cases))[:3]
    times = {(case["variant"], case["lengths"]): case["p50_ms"] for case in cases}
    rows: list[tuple[str, ...]] = []
    for case in once(cases):
        score = f"{case['quality']['value']:.4f}" if case["quality"] else ""
        rows.append((case["variant"], score, *(number(times.get((case["variant"], at))) for at in lengths)))
    columns = [f"p50 ms, {at}" if at == "natural" else f"p50 ms, {at} tokens" for at in lengths]
    return f"### `{run.name}`, {MACHINES[run.machine]}\n\n" + table(("contender", "quality", *columns), rows)


TABLES = (
    (("run", "variant", "length", "p50 ms", "times faster"), latency),
    (("run", "variant", "cold start ms", "peak RSS MB", "model MB"), size),
    (("run", "variant", "metric", "value", "rows"), quality),
    (("run", "variant", "offline, texts/s", "served in time, texts/s"), rates),
    (("run", "variant", "rows", "equal answers", "largest difference"), equal),
)
