"""Bench with simulated child processes: rounds, figures, ratios, and the results of every scenario."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pretended_bench import SUITE, Child

from edgebert.commands.bench_tables import show
from edgebert.measure.bench import bench
from edgebert.measure.experiment import Experiment
from edgebert.measure.progress import Step
from edgebert.measure.suite import Server, Suite
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant
from edgebert.measure.workload import Workload


def test_rounds_hold_every_variant_once_and_all_answer_the_same_texts(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()
    bench(Experiment(variants, workload, SUITE, tmp_path / "out"), Machine(child=child))
    orders = set()
    for scenario, count in (("single_stream", 10), ("offline", 10)):
        jobs = [job for job in child.jobs if job["scenario"] == scenario]
        assert len(jobs) == 3 * 3
        for at in (0, 3, 6):
            names = [Path(job["bundle"]).name for job in jobs[at : at + 3]]
            assert sorted(names) == ["0-baseline", "1-graph", "tiny"]
            orders.add(tuple(names))
        assert {tuple(job["texts"]) for job in jobs} == {tuple(jobs[0]["texts"])}
        assert len(set(jobs[0]["texts"])) == count
    assert len(orders) > 1
    assert Counter(job["scenario"] for job in child.jobs) == {
        "quality": 3,
        "memory": 3,
        "single_stream": 9,
        "offline": 9,
    }


def test_quality_is_asked_for_the_whole_file_by_the_metric_of_the_bundle(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()
    bench(Experiment(variants, workload, SUITE, tmp_path / "out"), Machine(child=child))
    jobs = [job for job in child.jobs if job["scenario"] == "quality"]
    assert [Path(job["bundle"]).name for job in jobs] == ["0-baseline", "1-graph", "tiny"]
    assert {(job["data"], job["metric"]) for job in jobs} == {(str(Path("d.tsv").resolve()), "accuracy")}
    assert not any("data" in job for job in child.jobs if job["scenario"] != "quality")


def test_texts_without_labels_have_no_quality(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    child = Child()
    unlabelled = replace(workload, examples=[replace(example, label=None) for example in workload.examples])
    result = bench(Experiment(variants, unlabelled, SUITE, tmp_path / "out"), Machine(child=child))
    assert Counter(job["scenario"] for job in child.jobs) == {"memory": 3, "single_stream": 9, "offline": 9}
    assert [case.quality for case in result.cases] == [None] * 6
    assert (result.pairs, result.differences) == ([], [])


def test_figures_come_from_the_samples(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    steps: list[Step] = []
    result = bench(
        Experiment(variants, workload, SUITE, tmp_path / "out", "edgebert bench"), Machine(child=Child()), steps.append
    )
    assert [case.variant for case in result.cases] == ["fp32", "1-graph", "bundle"] * 2
    assert [case.role for case in result.cases] == ["baseline", "stage", "bundle"] * 2
    last = result.cases[2]
    assert (last.p50_ms, last.p90_ms, last.p99_ms, last.mean_ms) == (1.0, 1.0, 1.0, 1.0)
    assert (last.p50_ci, last.p90_ci, last.p99_ci) == ([1.0, 1.0], [1.0, 1.0], [1.0, 1.0])
    assert (last.throughput, last.samples, last.size_mb, last.peak_rss_mb) == (1000.0, 30, 1.0, 80.0)
    assert (last.import_ms, last.load_ms, last.first_ms, last.cold_start_ms) == (30.0, 20.0, 5.0, 10.0)
    assert last.memory == {"import_mb": 20.0, "load_mb": 50.0, "first_mb": 60.0, "steady_mb": 80.0}
    assert (last.outliers, last.drift, last.spread, last.others) == ({"count": 0, "limit_ms": 1.0}, 1.0, 1.0, 0.05)
    assert [case.quality["value"] for case in result.cases if case.quality] == [1.0, 1.0, 0.75] * 2
    assert [case.throughput for case in result.cases[3:]] == [125.0, 250.0, 1000.0]
    assert [case.batch for case in result.cases] == [1] * 3 + [4] * 3
    ratios = {
        ratio.what: pytest.approx((ratio.value, ratio.ci_low, ratio.ci_high), rel=1e-9) for ratio in result.ratios
    }
    assert ratios == {
        "p50, natural lengths: fp32 / 1-graph": (2.0, 2.0, 2.0),
        "p50, natural lengths: fp32 / bundle": (8.0, 8.0, 8.0),
        "offline time, natural lengths: fp32 / 1-graph": (2.0, 2.0, 2.0),
        "offline time, natural lengths: fp32 / bundle": (8.0, 8.0, 8.0),
    }
    assert {ratio.rounds for ratio in result.ratios} == {3}
    rows = [(row["variant"], row["p50_ms"], row.get("faster"), row.get("smaller")) for row in result.waterfall]
    assert rows == [("fp32", 8.0, None, None), ("1-graph", 4.0, 2.0, 1.0), ("bundle", 1.0, 4.0, 4.0)]
    assert (steps[0].line, steps[-1].number, steps[-1].total) == ("[1/24] fp32: quality, natural lengths", 24, 24)
    assert result.null_model == {"p50_us": 0.2, "samples": 90}
    assert result.finished


def test_everything_is_on_disk_raw_samples_of_every_case_too(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    result = bench(Experiment(variants, workload, SUITE, tmp_path / "out", "edgebert bench"), Machine(child=Child()))
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document == json.loads(json.dumps(result.as_dict()))
    raw = [json.loads((tmp_path / "out" / case["raw"]).read_text()) for case in document["cases"]]
    assert [len(answer["latencies_ns"]) for answer in raw[0]["rounds"]] == [10, 10, 10]
    assert raw[0]["memory"]["end_rss"] == 80_000_000
    assert [answer["texts"] for answer in raw[3]["rounds"]] == [10, 10, 10]
    scored = json.loads((tmp_path / "out" / "raw" / "bundle-quality.json").read_text())
    assert scored["table"][:2] == [[0.0], [1.0]]


ALL = ("single_stream", "offline", "server", "cold_start", "memory", "soak")


def test_two_rounds_have_ratios_and_no_intervals(
    variants: list[Variant], workload: Workload, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = bench(Experiment(variants, workload, replace(SUITE, rounds=2), tmp_path / "out"), Machine(child=Child()))
    assert {(ratio.ci_low, ratio.ci_high, ratio.rounds) for ratio in result.ratios} == {(None, None, 2)}
    case = result.cases[0]
    assert (case.p50_ci, case.p90_ci, case.p99_ci, result.cases[-1].throughput_ci) == (None, None, None, None)
    show(result)
    shown = capsys.readouterr().out
    assert "p50, natural lengths: fp32 / bundle: 8.00x (no interval: 2 rounds)" in shown
    assert json.loads((tmp_path / "out" / "result.json").read_text())["intervals"] == {
        "rounds": "t interval of the logarithms of the rounds' figures",
        "texts": "percentile bootstrap over texts",
    }


def test_every_process_opens_its_bundle_as_load_does(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()
    bench(Experiment(variants, workload, replace(SUITE, scenarios=ALL), tmp_path / "out"), Machine(child=child))
    assert {job["verify"] for job in child.jobs} == {True}


def test_every_scenario_of_a_suite_gives_a_case_of_every_variant(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()
    suite = replace(SUITE, scenarios=ALL, cold_starts=4, lengths=(16,), server=Server(bound_ms=7.0))
    result = bench(Experiment(variants, workload, suite, tmp_path / "out"), Machine(child=child))
    found = Counter((case.scenario, case.lengths, case.arena) for case in result.cases)
    assert found == {
        ("single_stream", "natural", None): 3,
        ("single_stream", "16", None): 3,
        ("offline", "natural", None): 3,
        ("server", "natural", None): 3,
        ("cold_start", "natural", None): 3,
        ("memory", "natural", True): 3,
        ("memory", "natural", False): 3,
        ("soak", "natural", None): 3,
    }
    assert len({case.raw for case in result.cases}) == len(result.cases)
    asked = Counter((job["scenario"], job["length"]) for job in child.jobs)
    assert (asked["cold_start", 0], asked["soak", 0], asked["server", 0]) == (12, 3, 9)
    assert asked["memory", 0] == 3 + 2 * 9
    seeds = [job["seed"] for job in child.jobs if job["scenario"] == "server"]
    assert Counter(seeds) == {7: 3, 8: 3, 9: 3}
    assert {job["server"]["bound_ms"] for job in child.jobs} == {7.0}
    ratios = {ratio.what: round(ratio.value, 9) for ratio in result.ratios if ratio.what.endswith("fp32 / bundle")}
    assert ratios == {
        "p50, natural lengths: fp32 / bundle": 8.0,
        "p50, 16 tokens: fp32 / bundle": 8.0,
        "offline time, natural lengths: fp32 / bundle": 8.0,
        "server time a query, natural lengths: fp32 / bundle": 8.0,
        "cold start, natural lengths: fp32 / bundle": 8.0,
        "peak memory, natural lengths, arena on: fp32 / bundle": 1.0,
        "peak memory, natural lengths, arena off: fp32 / bundle": 1.0,
    }
    peaks = {case.arena: case.peak_rss_mb for case in result.cases if case.scenario == "memory"}
    assert peaks == {True: 80.0, False: 70.0}


def test_a_rate_of_none_has_no_ratio(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    child = Child()

    def too_slow(job: dict[str, Any]) -> dict[str, Any]:
        return child(job) | ({"target_qps": 0.0} if "0-baseline" in job["bundle"] else {})

    suite = replace(SUITE, scenarios=("server",))
    result = bench(Experiment(variants, workload, suite, tmp_path / "out"), Machine(child=too_slow))
    assert result.ratios == []
    assert [case.server["target_qps"] for case in result.cases if case.server] == [0.0, 125.0, 500.0]


def test_quality_is_compared_text_by_text(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    result = bench(Experiment(variants, workload, SUITE, tmp_path / "out"), Machine(child=Child()))
    assert [(pair.what, pair.only_first, pair.only_second, pair.n) for pair in result.pairs] == [
        ("accuracy: fp32 / 1-graph", 0, 0, 40),
        ("accuracy: fp32 / bundle", 10, 0, 40),
    ]
    assert [pair.p_value for pair in result.pairs] == [1.0, 2 / 1024]
    assert [difference.value for difference in result.differences] == [0.0, -0.25]
    assert result.differences[1].ci_low < -0.25 < result.differences[1].ci_high < 0


def test_thirds_of_the_texts_are_of_like_lengths(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    child = Child()
    long = replace(workload, inputs=["x" * (at**2) for at in range(1, 41)])
    bench(
        Experiment(variants, long, replace(SUITE, samples=30, scenarios=("single_stream",)), tmp_path / "out"),
        Machine(child=child),
    )
    texts = next(job["texts"] for job in child.jobs if job["scenario"] == "single_stream")
    medians = [sorted(map(len, texts[at : at + 10]))[5] for at in (0, 10, 20)]
    assert max(medians) < 1.5 * min(medians)
    assert len(set(texts)) == 30


def test_the_machine_is_looked_at_before_and_after_and_disturbance_is_told(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    states = iter([{"cpu": "x", "throttled": []}, {"cpu": "x", "throttled": ["throttled now"]}])
    child = Child()

    def busy(job: dict[str, Any]) -> dict[str, Any]:
        return child(job) | {"processor": {"wall_ns": 100, "own_ns": 50, "busy_ns": 100}}

    experiment = Experiment(variants[::2], workload, replace(SUITE, scenarios=("single_stream",)), tmp_path)
    result = bench(experiment, Machine("ssh://pi", busy, lambda: next(states)))
    assert result.environment == {"cpu": "x", "throttled": []}
    assert result.environment_after is not None
    assert result.environment_after["throttled"] == ["throttled now"]
    assert "cpu" not in result.environment_after
    assert {case.target for case in result.cases} == {"ssh://pi"}
    assert result.verdict == {
        "disturbed": True,
        "reasons": [
            "the machine was throttled: throttled now",
            "fp32, single_stream, natural: other processes kept 0.50 cores busy",
            "bundle, single_stream, natural: other processes kept 0.50 cores busy",
        ],
        "saturating": [],
    }


@pytest.mark.parametrize(("target", "names"), [("ssh://pi", ["bundle"]), ("cuda", [])])
def test_sums_that_saturate_on_the_measured_cpu_stand_in_the_verdict(
    target: str, names: list[str], variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    for variant in variants:
        export = variant.manifest.profile.export
        export.weight_type, export.reduce_range = "int8", False
    experiment = Experiment(variants[::2], workload, replace(SUITE, scenarios=("single_stream",)), tmp_path)
    result = bench(experiment, Machine(target, Child(), lambda: {"cpu": "x", "int8": "avx2"}))
    assert result.verdict is not None
    assert [sentence.split()[0] for sentence in result.verdict["saturating"]] == names
    assert json.loads((tmp_path / "result.json").read_text())["verdict"] == result.verdict


def test_fixed_lengths_need_no_text_and_every_variant_gets_the_same_ids(
    variants: list[Variant], tmp_path: Path
) -> None:
    child = Child()
    result = bench(
        Experiment(variants, None, Suite(rounds=2, samples=10, lengths=(16, 64)), tmp_path), Machine(child=child)
    )
    assert [(case.scenario, case.lengths) for case in result.cases[::3]] == [
        *(("single_stream", "16"), ("single_stream", "64")),
        *(("offline", "16"), ("offline", "64")),
    ]
    for length in (16, 64):
        drawn = [job["ids"] for job in child.jobs if job["length"] == length]
        assert {len(ids) for ids in drawn[0]} == {length}
        assert max(max(ids) for ids in drawn[0]) < 50
        assert all(ids == drawn[0] for ids in drawn)
