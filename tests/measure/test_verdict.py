"""When a run counts as disturbed, and what the verdict says about it."""

from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of

from edgebert.measure.results import Case
from edgebert.measure.variants import Variant
from edgebert.measure.verdict import saturating, verdict

CALM = {"drift": 1.02, "spread": 1.05, "others": 0.03}


def case(**figures: Any) -> Case:
    fields = {"scenario": "single_stream", "batch": 1, "lengths": "natural", "threads": 1, **CALM, **figures}
    return Case("b", "h", "bundle", "local", "onnxruntime", **fields)


def test_a_calm_run_is_not_disturbed() -> None:
    unknown = case(drift=None, spread=None, others=None)
    assert verdict([case(), unknown], {}, {}) == {"disturbed": False, "reasons": [], "saturating": []}
    edges = [
        case(others=0.9, scenario="memory"),
        case(drift=1.1),
        case(drift=1 / 1.1),
        case(spread=1.1),
        case(others=0.1),
    ]
    state = {"throttled": [], "throttle_events": 4}
    assert not verdict(edges, state, state)["disturbed"]


@pytest.mark.parametrize(
    ("figures", "words"),
    [
        ({"drift": 1.2}, "last third of a process took 1.20 times"),
        ({"drift": 0.8}, "last third of a process took 0.80 times"),
        ({"spread": 1.31}, "slowest process took 1.31 times"),
        ({"others": 0.75}, "other processes kept 0.75 cores busy"),
    ],
)
def test_every_limit_has_its_reason_and_names_the_case(figures: dict[str, float], words: str) -> None:
    found = verdict([case(), case(**figures)], {}, {})
    assert found["disturbed"]
    (reason,) = found["reasons"]
    assert reason.startswith("bundle, single_stream, natural: ")
    assert words in reason


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ([], ["throttled now", "throttled since boot"], "throttled now, throttled since boot"),
        (["frequency capped now"], [], "frequency capped now"),
        (
            ["under-voltage since boot"],
            ["throttled since boot", "under-voltage since boot"],
            "throttled since boot",
        ),
    ],
)
def test_throttling_at_either_end_or_new_since_boot_disturbs(before: list[str], after: list[str], words: str) -> None:
    found = verdict([case()], {"throttled": before}, {"throttled": after})
    assert found["reasons"] == [f"the machine was throttled: {words}"]


def test_what_happened_before_the_run_does_not_disturb_it() -> None:
    old = {"throttled": ["under-voltage since boot"], "throttle_events": 9}
    assert not verdict([case()], old, old)["disturbed"]
    assert not verdict([case()], {"throttled": None}, {"throttled": None})["disturbed"]


def test_throttling_events_in_between_are_counted() -> None:
    found = verdict([], {"throttle_events": 9}, {"throttle_events": 12})
    assert found == {"disturbed": True, "reasons": ["the cores were slowed 3 times because of heat"], "saturating": []}


def variant(name: str, precision: str, reduce_range: bool = False) -> Variant:
    export = {"weight_type": "int8", "reduce_range": reduce_range}
    manifest = manifest_of(precision=precision, profile={"export": export}, stages=[])
    return Variant(name, Path("b"), manifest, "onnxruntime")


def test_a_bundle_whose_sums_saturate_on_the_measured_cpu_is_named() -> None:
    variants = [variant("fp32", "fp32"), variant("bundle", "int8-dynamic"), variant("seven", "int8-dynamic", True)]
    found = saturating(variants, {"cpu": "Old CPU", "int8": "avx2"})
    assert found == [
        "bundle (onnxruntime): INT8 sums saturate on the measured CPU (Old CPU, AVX2 without VNNI), so its answers are "
        "less accurate than with VNNI; export with --profile x86-avx2"
    ]
    told = verdict([case()], {}, {}, found)
    assert told == {"disturbed": False, "reasons": [], "saturating": found}
    # With VNNI sums are exact, and an older EdgeBERT elsewhere does not say what its CPU has.
    assert saturating(variants, {"cpu": "New CPU", "int8": "vnni"}) == []
    assert saturating(variants, {"cpu": "Old CPU", "flags": ["avx2"]}) == []
