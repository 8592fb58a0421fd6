"""The answer of a measured process is checked once, before it is used."""

import sys
from typing import Any

import pytest

from edgebert.errors import RunError, TargetError
from edgebert.measure.process import run_process, with_cold_start

NS = {"start_ns": 11, "import_ns": 12, "load_ns": 13, "first_ns": 14, "hash_ns": 1}
RSS = {"import_rss": 1, "load_rss": 2, "first_rss": None, "end_rss": 4}
MARKS = {**NS, **RSS, "processor": None, "hashed": True}
QUALITY = {"metric": "accuracy", "value": 0.5, "n": 2, "ci_low": 0.25, "ci_high": 0.75}
SERVER = {"bound_ms": 50.0, "percent": 99.0, "tolerance": 0.1}
PROBE = {"threads": 1, "copy_gb_s": 9.5, "peaks": [{"precision": "int8", "rows": 1, "gmacs": 5.0}]}
OWN: dict[str, dict[str, Any]] = {
    "single_stream": {"latencies_ns": [5, 6], "null_ns": [0, 1], "power": None},
    "offline": {"texts": 4, "total_ns": 9},
    "cold_start": {},
    "memory": {},
    "soak": {"latencies_ns": [5], "resident_bytes": [1, 2]},
    "server": {"latencies_ns": [5], "settings": SERVER, "target_qps": 0.0, "achieved_qps": 1.5, "capacity_qps": 3.0},
    "quality": {"quality": QUALITY, "table": [[1.0], [0.0]]},
    "answers": {"answers": [1], "outputs": [[float("nan")]], "not_finite": [1], "quality": None},
    "operators": {"operators": [{"op": "Gelu", "count": 1.0, "us": 2.0, "share": 0.5}], "nodes": []},
    "probe": {"windows": [7], "probe": PROBE},
}


def fault(scenario: str, document: Any) -> str:
    with pytest.raises(TargetError) as caught:
        with_cold_start({"bundle": "b", "scenario": scenario}, document, 10, "ssh://board")
    told = str(caught.value)
    remedy = "; EdgeBERT there was altered or is another version, run the same command again"
    assert told.startswith(f"ssh://board: b: {scenario} answered ")
    assert told.endswith(remedy)
    return told.removeprefix(f"ssh://board: b: {scenario} answered ").removesuffix(remedy)


@pytest.mark.parametrize("scenario", OWN)
def test_every_field_that_a_scenario_answers_is_needed(scenario: str) -> None:
    whole = {**MARKS, **OWN[scenario]}
    assert with_cold_start({"scenario": scenario}, dict(whole), 10)["cold_start_ns"] == 4
    for key in whole:
        assert fault(scenario, {name: value for name, value in whole.items() if name != key}) == f"without '{key}'"
        assert fault(scenario, {**whole, key: "x"}).startswith(f"with '{key}' 'x', expected ")
        assert fault(scenario, {**whole, key: 10**400}).startswith(f"with '{key}' 1000")


@pytest.mark.parametrize(
    ("scenario", "key", "value"),
    [
        *(("single_stream", "latencies_ns", value) for value in ([], [0], [5, "6"], [10**400], [True])),
        *(("quality", "quality", value) for value in ({}, {"metric": "f1"}, {"metric": "f1", "value": None}, None)),
        *(("quality", "table", value) for value in ([], [[]], [1.0], [[1.0], [1.0, 2.0]])),
        ("soak", "resident_bytes", [1]),
        ("server", "target_qps", float("inf")),
        ("server", "settings", {**SERVER, "bound_ms": float("nan")}),
        ("single_stream", "power", {"joules_per_inference": float("nan"), "source": "a"}),
        ("probe", "probe", {**PROBE, "peaks": [None]}),
        ("answers", "outputs", [1.0]),
        *(("single_stream", "latencies_ns", [value]) for value in (5e-324, 2**62, float("nan"))),
        *(("offline", "texts", value) for value in (5e-324, 0.5, 0, 2**62)),
        *(("offline", "total_ns", value) for value in (5e-324, 0, 2**62)),
        *(("quality", "quality", {**QUALITY, key: "x"}) for key in ("value", "n", "ci_low", "cut", "unknown_labels")),
        *(("quality", "quality", {**QUALITY, "ci_low": value}) for value in (None, [], {})),
        *(("quality", "quality", {**QUALITY, "n": value}) for value in (None, 0, 1.5)),
        *(("quality", "quality", {**QUALITY, key: 7}) for key in ("metric", "lacks", "unknown_labels")),
        *(("probe", "windows", value) for value in ([0], [-5], [2**62])),
        ("single_stream", "null_ns", [-5]),
        ("memory", "end_rss", -5),
        ("memory", "hash_ns", -1),
        ("memory", "device_memory_mb", "lots"),
        ("operators", "operators", [{"op": "Gelu", "count": 1.0, "us": "2", "share": 0.5}]),
    ],
)
def test_a_value_of_another_kind_is_named(scenario: str, key: str, value: Any) -> None:
    assert fault(scenario, {**MARKS, **OWN[scenario], key: value}).startswith(f"with '{key}' {value!r:.40}, expected ")


@pytest.mark.parametrize(
    ("scenario", "key", "value", "said"),
    [
        ("quality", "table", [[float("nan")], [0.0]], "'table.0.0' is nan, not finite"),
        (
            "quality",
            "quality",
            {**QUALITY, "value": float("-inf")},
            "'quality.value' is -inf, not finite",
        ),
        ("operators", "nodes", [{"us": float("inf")}], "'nodes.0.us' is inf, not finite"),
        ("memory", "more", {"x": [-1e19]}, "'more.x.0' is -1e+19, larger than any real measurement"),
    ],
)
def test_a_number_that_no_result_may_hold_is_named(scenario: str, key: str, value: Any, said: str) -> None:
    assert fault(scenario, {**MARKS, **OWN[scenario], key: value}) == f"an impossible figure: {said}"


@pytest.mark.parametrize("key", ["temperature_c", "frequency_mhz", "throttle_events"])
def test_an_environment_holds_figures_that_can_be_written(key: str) -> None:
    for value in (float("nan"), float("inf"), -(2**62)):
        with pytest.raises(TargetError, match=rf"^ssh://board: environment answered .*'{key}'"):
            with_cold_start({"scenario": "environment"}, {"versions": {}, key: value}, 10, "ssh://board")


def test_a_first_answer_before_the_process_began_is_told() -> None:
    assert fault("memory", {**MARKS, "first_ns": 10}) == "with 'first_ns' 10, before the process began"


@pytest.mark.parametrize(
    "text", ["[]", "no JSON", "", '{"first_ns": "x"}', "[" * 100_000, r'{"x": "\ud800"}', '{"x": 1, "x": 2}']
)
def test_what_a_process_writes_instead_of_its_document_is_told(text: str) -> None:
    command = [sys.executable, "-ISc", "import sys; print(sys.argv[1])", text]
    with pytest.raises(RunError, match=r"^quality answered with") as caught:
        run_process(command, {"scenario": "quality"})
    assert "\n" not in str(caught.value)
