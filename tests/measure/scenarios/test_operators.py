"""Time by operator: from a runtime's events to the table, and one real run per runtime."""

from pathlib import Path
from typing import Any

import pytest

from edgebert.measure.process import run_child
from edgebert.measure.scenarios.operators import by_node, by_type
from edgebert.runtime.session import OperatorRun
from edgebert.runtime.sessions.onnxruntime import OUTSIDE, read_events


def run_event(ts: int, dur: int) -> dict[str, Any]:
    return {"cat": "Session", "ph": "X", "name": "model_run", "ts": ts, "dur": dur, "args": {}}


def kernel(ts: int, dur: int, name: str, op: str) -> dict[str, Any]:
    shapes = {"input_type_shape": [{"float": [1, ts]}], "output_type_shape": [{"float": [1, 2]}]}
    args = {"op_name": op, "provider": "CPUExecutionProvider", **shapes}
    return {"cat": "Node", "ph": "X", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


EVENTS = [
    {"cat": "Session", "ph": "X", "name": "session_initialization", "ts": 0, "dur": 900, "args": {}},
    kernel(1001, 500, "a", "MatMul"),
    run_event(1000, 800),
    kernel(2001, 10, "a", "MatMul"),
    {"cat": "Node", "ph": "X", "name": "a_fence_after", "ts": 2011, "dur": 3, "args": {"op_name": "MatMul"}},
    kernel(2012, 6, "b", "Add"),
    run_event(2000, 20),
    kernel(3001, 12, "a", "MatMul"),
    kernel(3014, 8, "b", "Add"),
    run_event(3000, 30),
    {"ph": "M", "name": "process_name", "args": {}},
]


def test_runs_before_the_measured_ones_are_left_out() -> None:
    assert [(each.node, each.op, each.us) for each in read_events(EVENTS, skipped=1)] == [
        *[("a", "MatMul", 10), ("b", "Add", 6), ("a", "MatMul", 12), ("b", "Add", 8)],
        *[(OUTSIDE, OUTSIDE, 7.0)] * 2,
    ]
    assert read_events(EVENTS, skipped=3) == []


def test_a_table_is_of_one_prediction_and_slowest_first() -> None:
    assert by_type(read_events(EVENTS, skipped=1), predictions=2) == [
        {"op": "MatMul", "count": 1.0, "us": 11.0, "share": 0.44},
        {"op": "Add", "count": 1.0, "us": 7.0, "share": 0.28},
        {"op": OUTSIDE, "count": 1.0, "us": 7.0, "share": 0.28},
    ]
    assert by_type([], predictions=2) == []


def test_nodes_of_one_type_stay_apart_and_have_their_last_shapes() -> None:
    first, last = OperatorRun("a", "MatMul", 3, [1], [2]), OperatorRun("a", "MatMul", 5, [3], [4])
    rows = by_node([first, OperatorRun("b", "MatMul", 9), last], 2)
    assert [(row["node"], row["op"], row["count"], row["us"]) for row in rows] == [
        ("b", "MatMul", 0.5, 4.5),
        ("a", "MatMul", 1.0, 4.0),
    ]
    assert (rows[1]["inputs"], rows[1]["outputs"]) == ([3], [4])


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_real_process_tells_where_its_time_went(runtime: str, built: Path) -> None:
    job = {"bundle": str(built), "runtime": runtime, "threads": 1, "scenario": "operators", "batch_size": 4}
    answer = run_child({**job, "length": 0, "warmup": 2, "samples": 5, "texts": ["a good film", "the story was awful"]})
    operators = {row["op"]: row for row in answer["operators"]}
    assert sum(row["share"] for row in answer["operators"]) == pytest.approx(1, abs=0.01)
    times = [row["us"] for row in answer["operators"]]
    assert times == sorted(times, reverse=True)
    assert len(answer["nodes"]) > len(answer["operators"])
    if runtime == "onnxruntime":
        assert OUTSIDE in operators
        # With the options of the bundle's own session: the slow fusion is disabled.
        assert "SkipLayerNormalization" not in operators
        assert operators["MultiHeadAttention"]["count"] == 2
        attention = [row for row in answer["nodes"] if row["op"] == "MultiHeadAttention"]
        # The last layer has one query, whatever the text.
        assert sorted(row["inputs"][0]["float"][1] for row in attention) in ([1, 5], [1, 6])


def test_the_baseline_is_profiled_with_the_defaults_that_it_is_timed_with(built: Path) -> None:
    baseline = built.with_name(built.name + ".stages") / "0-baseline"
    job = {"bundle": str(baseline), "runtime": "onnxruntime", "threads": 1, "scenario": "operators", "batch_size": 4}
    answer = run_child({**job, "length": 8, "warmup": 1, "samples": 4, "ids": [[5] * 8]})
    operators = {row["op"]: row["count"] for row in answer["operators"]}
    assert operators["SkipLayerNormalization"] >= 3
