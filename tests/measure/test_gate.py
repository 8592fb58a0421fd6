"""Checks that fail a bench: their syntax, what they compare, and their messages."""

import math
from pathlib import Path
from typing import Any

import pytest
from result_documents import case, document, quality, write

from edgebert.errors import InputError
from edgebert.measure.gate import describe, judge, read_gate, warnings


def outcome(check: str, whole: dict[str, Any]) -> list[bool]:
    return [row["failed"] for row in judge([read_gate(check)], whole)]


@pytest.mark.parametrize(
    ("check", "failed"),
    [
        *(("p50>1.9", True), ("p50>2", False), ("p50<2", False), ("p50<2.1", True)),
        *(("p90>2.9", True), ("p99>4", False), ("size>9.99", True), ("peak_rss>50", False)),
        *(("quality<0.9", True), ("quality<0.89", False), ("quality > -1", True), (" p50 > 1.9 ", True)),
    ],
)
def test_a_limit_is_of_the_bundle_and_not_of_its_baseline(check: str, failed: bool) -> None:
    assert outcome(check, document()) == [failed]


def test_a_bundle_whose_folder_begins_with_a_date_is_held_to_the_limit_too() -> None:
    cases = [case("fp32", 8.0), case("prod", 2.0), case("2026-11-26-candidate", 9.0)]
    assert outcome("p50>5", document(cases)) == [False, True]
    cases = [case("0-baseline", 9.0, role="stage"), case("1-graph", 2.0, role="bundle")]
    assert outcome("p50>5", document(cases)) == [False]


def test_what_is_no_number_has_failed() -> None:
    assert read_gate("p50>1").fails(math.nan, 1)
    assert read_gate("p50<1").fails(math.nan, 1)


CASE = "bundle, single_stream, natural lengths, onnxruntime"
FIGURES = {"mean_ms": 3.0, "cold_start_ms": 30.0, "throughput": 300.0}


@pytest.mark.parametrize(("metric", "value"), [("mean", 3), ("cold_start", 30), ("throughput", 300)])
def test_every_metric_is_read_from_its_own_field(metric: str, value: int) -> None:
    whole = document([case("bundle", 2.0, **FIGURES)])
    (row,) = judge([read_gate(f"{metric}>0.5")], whole)
    assert row == {
        **{"gate": f"{metric}>0.5", "failed": True, "case": CASE},
        **{"value": value, "limit": 0.5, "previous": None, "file": None},
    }


def test_a_limit_is_for_natural_lengths_where_there_are_any() -> None:
    cases = [case("bundle", 2.0), case("bundle", 9.0, lengths="128"), case("1-graph", 9.0)]
    assert outcome("p50>5", document(cases)) == [False]
    assert outcome("p50>5", document([case("bundle", 2.0, lengths="16"), *cases[1:]])) == [False, True]


def test_the_scenario_that_is_about_a_metric_comes_first() -> None:
    cases = [
        case("bundle", 2.0, throughput=100.0, cold_start_ms=50.0),
        case("bundle", None, scenario="offline", throughput=900.0),
        case("bundle", None, scenario="cold_start", cold_start_ms=70.0),
        case("bundle", 40.0, scenario="server"),
    ]
    assert [row["value"] for row in judge([read_gate("throughput<1")], document(cases))] == [900]
    assert [row["value"] for row in judge([read_gate("cold_start>1")], document(cases))] == [70]
    assert [row["value"] for row in judge([read_gate("p50>1")], document(cases))] == [2]
    assert [row["value"] for row in judge([read_gate("p50>1")], document(cases[1:]))] == [40]


@pytest.mark.parametrize(("now", "check", "failed"), [(2.2, "p50>1.1x:", False), (2.3, "p50>1.1x:", True)])
def test_a_factor_is_of_the_same_case_of_the_earlier_result(
    now: float, check: str, failed: bool, tmp_path: Path
) -> None:
    earlier = write(tmp_path, document([case("fp32", 1.0), case("bundle", 2.0), case("bundle", 1.0, lengths="16")]))
    others = [case("fp32", 99.0), case("bundle", 99.0, lengths="64"), case("bundle", 99.0, threads=2)]
    (row,) = judge([read_gate(f"{check}{earlier}")], document([case("bundle", now), *others]))
    assert (row["failed"], row["value"], row["previous"], row["file"]) == (failed, now, 2.0, str(earlier))
    assert row["limit"] == pytest.approx(2.2)


def test_quality_that_is_undefined_holds_no_limit(tmp_path: Path) -> None:
    nothing = case("bundle", 2.0, quality=quality(0.0) | {"lacks": "an entity"})
    assert outcome("quality<0.5", document([nothing])) == [True]
    assert outcome("quality>-1", document([nothing])) == [True]
    earlier = write(tmp_path, document([nothing]))
    with pytest.raises(InputError, match="holds no quality of a bundle"):
        read_gate(f"quality<1x:{earlier}")


def test_every_length_that_both_hold_is_compared(tmp_path: Path) -> None:
    cases = [case("bundle", 2.0, lengths=lengths) for lengths in ("natural", "16", "64")]
    earlier = write(tmp_path, document(cases))
    slower = [cases[0], cases[1] | {"p50_ms": 3.0}, cases[2]]
    assert outcome(f"p50>1.4x:{earlier}", document(slower)) == [False, True, False]


def test_a_smaller_figure_can_be_the_failure_too(tmp_path: Path) -> None:
    earlier = write(tmp_path, document([case("bundle", quality=quality(0.9))]))
    assert outcome(f"quality<0.99x:{earlier}", document([case("bundle", quality=quality(0.89))])) == [True]
    assert outcome(f"quality<0.99x:{earlier}", document([case("bundle", quality=quality(0.892))])) == [False]


def test_a_check_with_nothing_to_look_at_has_failed(tmp_path: Path) -> None:
    earlier = write(tmp_path, document([case("bundle", 2.0, lengths="16")]))
    gates = [read_gate(f"p50>2x:{earlier}"), read_gate("throughput<1")]
    rows = judge(gates, document())
    assert [row["failed"] for row in rows] == [True, True]
    assert describe(rows[1]) == "fail-if throughput<1: FAILED: no case of a bundle to look at"


def test_an_arena_that_was_not_asked_about_was_on(tmp_path: Path) -> None:
    cases = [case("bundle", arena=True), case("bundle", arena=False, peak_rss_mb=9.0)]
    earlier = write(tmp_path, document(cases))
    (row,) = judge([read_gate(f"peak_rss>1.1x:{earlier}")], document([case("bundle", peak_rss_mb=50.0)]))
    assert (row["failed"], row["previous"]) == (False, 50)


@pytest.mark.parametrize(
    ("check", "said"),
    [
        *(
            (text, "not a check; write METRIC")
            for text in ("", "p50", "p50>", "p50>>1", "p50>x:a", "p50>1.1x:", "p50>1e3")
        ),
        ("p50>" + "9" * 400, "the limit is too large for a number"),
        *((text, "not a check; write METRIC") for text in ("p50>nan", "p50=1", "p50>1.1:prev.json", ">1")),
        ("p51>1", "unknown metric 'p51'; known: p50, p90, p99, mean, cold_start, peak_rss, size, throughput, quality"),
        ("p50>0x:prev.json", "the factor is 0; give one above 0"),
        ("p50>-1x:prev.json", "the factor is -1; give one above 0"),
    ],
)
def test_an_unsound_check_is_refused(check: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        read_gate(check)
    assert str(caught.value).startswith(f"--fail-if {check!r}: {said}")


def test_an_earlier_result_must_be_one_with_that_figure(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: no such file"):
        read_gate(f"p50>1.1x:{tmp_path / 'none.json'}")
    earlier = write(tmp_path, document([case("fp32", 1.0), case("bundle", None)]))
    with pytest.raises(InputError, match="holds no p50 of a bundle; give a result that does"):
        read_gate(f"p50>1.1x:{earlier}")


def test_a_line_tells_value_limit_and_earlier_value(tmp_path: Path) -> None:
    earlier = write(tmp_path, document())
    checks = [f"p50>1.1x:{earlier}", "size>9"]
    assert [describe(row) for row in judge([read_gate(check) for check in checks], document())] == [
        f"fail-if p50>1.1x:{earlier}: passed: {CASE}: 2, limit 2.2 (earlier 2)",
        f"fail-if size>9: FAILED: {CASE}: 10, limit 9",
    ]


def test_another_machine_and_other_texts_are_warned_of_once(tmp_path: Path) -> None:
    same = write(tmp_path / "same", document())
    other = write(tmp_path / "other", document(environment={"cpu": "Old CPU"}, data={"sha256": "cd"}))
    gates = [read_gate(f"{metric}>9x:{path}") for metric in ("p50", "p90") for path in (same, other)]
    assert warnings([*gates, read_gate("p50>9")], document()) == [
        f"warning: {other}: another machine (cpu 'Old CPU', here 'Some CPU'); "
        "times and memory of two machines cannot be compared",
        f"warning: {other}: other texts (the data's SHA-256 differs); compare with care",
    ]


NAMED = {"intervals": {"rounds": "t"}}


@pytest.mark.parametrize(
    ("check", "said"),
    [("p99>9x", "percentiles there are of all processes together"), ("cold_start>9x", "leave out checking the hashes")],
)
def test_an_earlier_figure_that_was_something_else_is_warned_of(check: str, said: str, tmp_path: Path) -> None:
    start = {"cold_start_ms": 100.0}
    before = write(tmp_path / "before", document([case("fp32", 8.0, **start), case("bundle", 2.0, **start)]))
    after = document([case("fp32", 8.0, **start, hashed=True), case("bundle", 2.0, **start, hashed=True)], **NAMED)
    (line,) = warnings([read_gate(f"{check}:{before}")], after)
    assert said in line
    assert str(before) in line
    assert warnings([read_gate(f"{check}:{write(tmp_path / 'after', after)}")], after) == []
    assert warnings([read_gate(f"p50>9x:{before}")], after) == []
