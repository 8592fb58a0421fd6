"""The verdict: which claims it makes, and which it does not."""

from pathlib import Path
from typing import Any

import pytest
from result_documents import case, document, full, quality, ratio

from edgebert.report.run import Run
from edgebert.report.verdict import steadiness, verdicts


def sentence(**more: Any) -> str:
    (verdict,) = verdicts(Run("run", document(**more), Path()))
    return verdict.sentence


def speed(value: float, low: float, high: float) -> str:
    return sentence(ratios=[ratio("p50, natural lengths: fp32 / bundle", value, low, high)])


def test_it_says_how_much_faster_and_smaller_and_what_was_lost() -> None:
    assert sentence() == (
        "tiny answers 4.00 times faster than its full-precision baseline (95% interval 3.50 to 4.50), is 4.00 times "
        "smaller and loses 0.50 points of accuracy (0.8950 against 0.9000)."
    )


def test_a_bundle_whose_folder_begins_with_a_date_has_a_verdict() -> None:
    cases = [case("fp32", 8.0), case("1-graph", 4.0), case("2026-11-26-candidate", 2.0)]
    assert [each.bundle for each in verdicts(Run("run", document(cases), Path()))] == ["2026-11-26-candidate"]


def test_an_interval_that_holds_1_is_no_gain() -> None:
    same = "answers neither faster nor slower than its full-precision baseline as far as this run can tell"
    assert f"{same} (ratio 1.05, 95% interval 0.980 to 1.12)" in speed(1.05, 0.98, 1.12)


def test_a_ratio_of_two_rounds_has_no_interval_and_no_judgement() -> None:
    few = [{**ratio("p50, natural lengths: fp32 / bundle", 4.0, 1, 1), "ci_low": None, "ci_high": None, "rounds": 2}]
    assert sentence(ratios=few).startswith(
        "tiny answers 4.00 times as fast as its full-precision baseline, with no interval (2 rounds), is"
    )
    (verdict,) = verdicts(Run("run", document(ratios=few), Path()))
    assert (verdict.stats[0].detail, verdict.stats[0].tone) == ("no interval (2 rounds), ratio of medians", "plain")


def test_slower_is_called_slower() -> None:
    said = "takes 2.00 times as long as its full-precision baseline (95% interval 1.67 to 2.50)"
    assert said in speed(0.5, 0.4, 0.6)
    assert "faster" not in speed(0.5, 0.4, 0.6)


@pytest.mark.parametrize(
    ("value", "p_value", "said"),
    [
        (
            0.895,
            0.32,
            "loses 0.50 points of accuracy (0.8950 against 0.9000; McNemar p = 0.32, within chance)",
        ),
        (
            0.87,
            0.004,
            "loses 3.0 points of accuracy (0.8700 against 0.9000; McNemar p = 0.004, beyond chance)",
        ),
        (0.87, 1e-9, "McNemar p < 0.001, beyond chance"),
        (0.91, 0.3, "loses no accuracy (0.9100 against 0.9000; McNemar p = 0.30, within chance)"),
        (0.9, 1.0, "keeps its accuracy (0.9000 against 0.9000; McNemar p = 1.00, within chance)"),
    ],
)
def test_a_loss_comes_with_its_test(value: float, p_value: float, said: str) -> None:
    cases = [case("fp32", 8.0, quality=quality(0.9)), case("bundle", 2.0, quality=quality(value))]
    pairs = [{"what": "accuracy: fp32 / bundle", "only_first": 1, "only_second": 2, "p_value": p_value, "n": 1000}]
    assert said in sentence(cases=cases, pairs=pairs)


def test_a_paired_interval_is_told_in_points() -> None:
    (verdict,) = verdicts(Run("run", full(), Path()))
    assert "95% interval -1.20 to +0.60 points; McNemar p = 0.66" in verdict.sentence
    (stat,) = [stat for stat in verdict.stats if stat.label == "accuracy"]
    assert stat.detail == "+0.00 points (-1.20 to +0.60), 1,000 texts, McNemar p = 0.66"


def test_without_a_baseline_nothing_is_said_of_faster() -> None:
    said = sentence(cases=[case("bundle", 2.0, quality=quality(0.9))], ratios=[])
    assert said == "tiny was measured without a baseline, so its speed-up is unknown."


def test_a_ratio_is_never_made_up() -> None:
    assert "faster" not in sentence(ratios=[])
    assert "faster" not in sentence(ratios=[ratio("p50, 16 tokens: fp32 / bundle", 4.0, 3.5, 4.5)])


def test_the_longest_fixed_length_stands_in_for_natural_ones() -> None:
    cases = [case(name, ms, lengths=at) for name, ms in (("fp32", 8.0), ("bundle", 2.0)) for at in ("16", "128", "64")]
    (verdict,) = verdicts(
        Run("run", document(cases, ratios=[ratio("p50, 128 tokens: fp32 / bundle", 5.0, 4.5, 5.5)]), Path())
    )
    assert verdict.sentence.startswith("tiny answers 5.00 times faster")
    assert "single stream, 128 tokens, batch 1, 1 thread, onnxruntime" in verdict.conditions


def test_an_emulated_machine_is_judged_by_its_answers() -> None:
    agreement = {"n": 872, "equal": 870, "share": 0.9977, "largest_difference": 0.07}
    cases = [
        case(name, None, scenario="agreement", target="qemu://cortex-a72", agreement=agreement, emulated="QEMU")
        for name in ("fp32", "bundle")
    ]
    said = sentence(cases=cases, ratios=[])
    assert said == "tiny is no smaller and gives the same answer on qemu://cortex-a72 as here for 870 of 872 texts."


def test_every_bundle_has_its_verdict_and_no_stage_has() -> None:
    cases = [case(name, 2.0) for name in ("fp32", "1-graph", "bundle@onnxruntime", "bundle@openvino")]
    found = verdicts(Run("run", document(cases), Path()))
    assert [verdict.bundle for verdict in found] == ["tiny@onnxruntime", "tiny@openvino"]
    assert verdicts(Run("run", document([]), Path())) == []


def test_a_disturbed_machine_is_told_with_its_reasons() -> None:
    reasons = [f"reason {at}" for at in range(5)]
    state = steadiness(Run("run", document(verdict={"disturbed": True, "reasons": reasons}), Path()))
    assert state.disturbed is True
    assert state.text == (
        "The machine was disturbed while this ran: reason 0; reason 1; reason 2; 2 more under Machine."
    )


def test_a_result_that_does_not_say_is_not_called_undisturbed() -> None:
    environment = {"cpu": "x", "cores": 2, "load_average": [1.2236, 1.5, 1.9]}
    state = steadiness(Run("run", document(environment=environment), Path()))
    assert state.disturbed is None
    assert state.text == (
        "Whether the machine was disturbed was not recorded. Its load average before the run was 1.22 on 2 cores."
    )


def test_a_run_that_was_stopped_says_so() -> None:
    stopped = Run("run", document(finished=False, verdict={"disturbed": False, "reasons": []}), Path())
    assert steadiness(stopped).text == (
        "The run was stopped before its end. The machine was not disturbed while this ran."
    )


def test_sums_that_saturated_are_told_beside_the_machine_s_state() -> None:
    for verdict in ({"disturbed": False, "reasons": []}, {}):
        told = steadiness(
            Run("run", document(verdict={**verdict, "saturating": ["bundle: INT8 sums saturate"]}), Path())
        )
        assert told.text.endswith(" bundle: INT8 sums saturate.")
        assert told.disturbed is verdict.get("disturbed")
