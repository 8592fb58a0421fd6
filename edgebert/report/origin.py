"""Sections about where figures come from: the machine, the method, and how to measure again."""

from __future__ import annotations

from collections.abc import Mapping

from edgebert.measure.document import CaseRow
from edgebert.report.numbers import number, plain, short, words
from edgebert.report.parts import Cell, Column, Section, Table, table
from edgebert.report.run import Run

SHOWN = ("cpu", "machine", "cores", "memory_mb", "gpu", "os", "kernel", "python")
STATE = (
    *("governor", "frequency_mhz", "temperature_c", "gpu_temperature_c", "throttled", "throttle_events", "power_mode"),
    "load_average",
)
LEFT_OUT = {"flags", "versions", "family_model", "gemm"}
# Instruction sets that decide how fast matrix products run, as /proc/cpuinfo spells them.
TELLING = (
    *("avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "avx_vnni", "amx_int8"),
    *("amx_bf16", "asimd", "asimddp", "asimdhp", "i8mm", "bf16", "sve", "sve2"),
)
Pair = tuple[str, str]


def machine_section(run: Run) -> Section:
    """The machine, and its state before and after."""
    environment = run.environment
    keys = [*SHOWN, *(key for key in environment if key not in {*SHOWN, *STATE, *LEFT_OUT})]
    facts = [(words(key), plain(environment.get(key))) for key in keys if environment.get(key) not in (None, "", [])]
    flags = [str(flag) for flag in environment.get("flags") or []]
    telling = ", ".join(flag for flag in TELLING if flag in flags)
    if telling:
        facts.append(("instruction sets", telling))
    details = (("Every processor flag", " ".join(flags)),) if flags else ()
    tables = [_facts("Machine", facts), _state(run), _reasons(run)]
    return Section("Machine", "", tables=tuple(part for part in tables if part), details=details)


def method_section(run: Run) -> Section:
    """The method, and everything needed to repeat it."""
    null_model = number((run.document.get("null_model") or {}).get("p50_us"))
    facts = [(words(key), plain(value)) for key, value in run.document["suite"].items() if value not in (None, [], "")]
    if null_model is not None:
        facts.append(("the harness itself", f"{short(null_model)} µs a prediction (a model that does nothing)"))
    data = run.document.get("data")
    if data:
        facts += [(f"data {words(key)}", plain(value)) for key, value in data.items() if not isinstance(value, dict)]
    versions = [(name, str(version)) for name, version in (run.environment.get("versions") or {}).items()]
    bundles = {case["bundle_hash"]: (_named(case), case["bundle_hash"]) for case in run.cases}
    tables = [
        _facts("Suite and data", facts),
        _facts("Versions", versions),
        _facts("Hashes of the bundles", list(bundles.values())),
        _gates(run),
    ]
    about = (
        "Every case ran in fresh processes, baseline and candidates in turns, in a new random order each round. To "
        "measure again, run the same command on the same bundles, data and versions:"
    )
    return Section("How to reproduce", about, tables=tuple(filter(None, tables)), commands=(run.document["command"],))


def _named(case: CaseRow) -> str:
    """A variant with its bundle's precision; earlier results do not tell it."""
    return f"{case['variant']} ({case['precision']})" if case.get("precision") else case["variant"]


def _facts(caption: str, facts: list[Pair]) -> Table | None:
    columns: list[Column[Pair]] = [("what", lambda fact: Cell(fact[0])), ("is", lambda fact: Cell(fact[1]))]
    return table(caption, columns, facts, ("is",)) if facts else None


def _state(run: Run) -> Table | None:
    """Machine properties that may change during a measurement."""
    before, after = run.environment, run.document.get("environment_after") or {}
    rows = [key for key in STATE if before.get(key) is not None or after.get(key) is not None]
    columns: list[Column[str]] = [
        ("state", lambda key: Cell(words(key))),
        ("before", lambda key: _held(before, key)),
        ("after", lambda key: _held(after, key)),
    ]
    return table("Before and after the run", columns, rows) if rows else None


def _reasons(run: Run) -> Table | None:
    """All reasons for a disturbed machine."""
    reasons = (run.document.get("verdict") or {}).get("reasons") or []
    columns: list[Column[object]] = [("reason", lambda reason: Cell(plain(reason)))]
    return table("What disturbed it", columns, reasons) if reasons else None


def _held(environment: Mapping[str, object], key: str) -> Cell | None:
    return None if environment.get(key) is None else Cell(plain(environment[key]))


def _gates(run: Run) -> Table | None:
    """Checks of the run, and their outcome."""
    columns: list[Column[Mapping[str, object]]] = [
        ("check", lambda row: Cell(plain(row.get("gate")))),
        ("case", lambda row: Cell(plain(row.get("case")))),
        ("value", lambda row: Cell(plain(row.get("value")))),
        ("limit", lambda row: Cell(plain(row.get("limit")))),
        ("outcome", lambda row: Cell("failed" if row.get("failed") else "passed")),
    ]
    gates = run.document.get("gates") or []
    return table("Checks (fail if)", columns, gates, ("case", "outcome")) if gates else None
