"""Bench: on a child that only pretends (rounds, ratios, what is on disk when one fails), and once on a real one."""

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgebert.bundle import write_manifest
from edgebert.errors import BundleError, DataError, InputError, RunError, SettingsError
from edgebert.examples import Example
from edgebert.measure.bench import Workload, bench, read_workload
from edgebert.measure.process import run_child
from edgebert.measure.progress import Step
from edgebert.measure.suite import Server, Suite, read_suite
from edgebert.measure.variants import Variant, find_baseline, stage_folders, variants_of

SUITE = Suite(rounds=3, samples=10, warmup=1, batch_size=4)
LATENCY_NS = {"fp32": 8_000_000, "1-graph": 4_000_000, "tiny": 1_000_000}
RUNTIME = {"default": "onnxruntime", "graphs": {"onnxruntime": "model.onnx"}}


def make_bundle(folder: Path, size: int = 100) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(bytes(size))
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": {str(at): at for at in range(50)}}}))
    manifest: dict[str, Any] = {key: key for key in ("stages", "metrics", "tools", "base_model")}
    manifest |= {"task": "text-classification", "head": {"settings": {}}}
    manifest |= {"precision": "fp32" if "stages" in folder.parent.name or folder.name == "baseline" else "int8-dynamic"}
    manifest |= {"inputs": ["input_ids"], "outputs": ["logits"], "layers": [], "segments": 1, "max_length": 64}
    choice = {"intra_op_threads": 1, "length_buckets": [64], "provider": "CPUExecutionProvider"}
    manifest |= {"profile": {"export": choice}}
    columns = {"text": "text", "text_pair": "", "label": "label"}
    data = {"columns": columns, "metric": "accuracy", "label_values": ["n", "p"]}
    write_manifest(folder, {**manifest, "name": "x", "labels": ["no", "yes"], "runtime": RUNTIME, "data": data})
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle by hand, with its baseline and one stage bundle beside it."""
    make_bundle(tmp_path / "tiny.stages" / "0-baseline", 4_000_000)
    make_bundle(tmp_path / "tiny.stages" / "1-graph", 4_000_000)
    return make_bundle(tmp_path / "tiny", 1_000_000)


@pytest.fixture
def variants(bundle: Path) -> list[Variant]:
    return variants_of([bundle], find_baseline(bundle, None), True, SUITE)


@pytest.fixture
def workload() -> Workload:
    examples = [Example(f"text {at}", None, "p" if at % 2 else "n", at + 2) for at in range(40)]
    return Workload(examples, Path("d.tsv"), "ab", [example.text for example in examples])


class Child:
    """Answers every job with invented figures; fails or is interrupted at the job of this number."""

    def __init__(self, fails_at: int = 0, error: BaseException | None = None) -> None:
        self.jobs: list[dict[str, Any]] = []
        self.fails_at = fails_at
        self.error = error

    def __call__(self, job: dict[str, Any]) -> dict[str, Any]:
        self.jobs.append(job)
        if len(self.jobs) == self.fails_at:
            raise self.error or RunError(f"{job['bundle']}: {job['scenario']} failed: killed")
        name = {"0-baseline": "fp32"}.get(Path(job["bundle"]).name, Path(job["bundle"]).name)
        marks = {"start_ns": 0, "import_ns": 30_000_000, "load_ns": 50_000_000, "first_ns": 55_000_000}
        marks |= {"cold_start_ns": 10 * LATENCY_NS[name]}
        marks |= {"import_rss": 20_000_000, "load_rss": 50_000_000, "first_rss": 60_000_000}
        marks |= {"end_rss": 80_000_000 if job["arena"] else 70_000_000}
        marks |= {"processor": {"wall_ns": 1000, "own_ns": 900, "busy_ns": 950}}
        latencies = {"latencies_ns": [LATENCY_NS[name]] * job["samples"]}
        rate = {
            "settings": job["server"],
            "capacity_qps": 1e9 / LATENCY_NS[name],
            "target_qps": 0.5e9 / LATENCY_NS[name],
            "achieved_qps": 0.5e9 / LATENCY_NS[name],
        }
        table = [[float(at % 4 > 0 or name != "tiny")] for at in range(40)]
        texts = len(job.get("texts", job.get("ids", [])))
        work = {
            "single_stream": latencies | {"null_ns": [200] * job["samples"], "power": None},
            "offline": {"texts": texts, "total_ns": LATENCY_NS[name] * texts},
            "memory": {},
            "cold_start": {},
            "soak": latencies,
            "server": latencies | rate,
            "quality": {
                "quality": {"metric": job.get("metric"), "value": 0.75 if name == "tiny" else 1.0},
                "table": table,
            },
        }
        return marks | work[job["scenario"]]


def test_rounds_hold_every_variant_once_and_all_answer_the_same_texts(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()
    bench(variants, workload, SUITE, tmp_path / "out", "", child=child)
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
    bench(variants, workload, SUITE, tmp_path / "out", "", child=child)
    jobs = [job for job in child.jobs if job["scenario"] == "quality"]
    assert [Path(job["bundle"]).name for job in jobs] == ["0-baseline", "1-graph", "tiny"]
    assert {(job["data"], job["metric"]) for job in jobs} == {(str(Path("d.tsv").resolve()), "accuracy")}
    assert not any("data" in job for job in child.jobs if job["scenario"] != "quality")


def test_texts_without_labels_have_no_quality(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    child = Child()
    unlabelled = replace(workload, examples=[replace(example, label=None) for example in workload.examples])
    result = bench(variants, unlabelled, SUITE, tmp_path / "out", "", child=child)
    assert Counter(job["scenario"] for job in child.jobs) == {"memory": 3, "single_stream": 9, "offline": 9}
    assert [case.quality for case in result.cases] == [None] * 6
    assert (result.pairs, result.differences) == ([], [])


MANIFEST = {
    "task": "text-classification",
    "labels": ["no", "yes"],
    "segments": 1,
    "head": {"settings": {}},
    "data": {"columns": {"text": "text", "text_pair": "", "label": "label"}, "label_values": ["n", "p"]},
}


def test_a_workload_is_what_a_caller_would_ask_and_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "d.tsv"
    path.write_text("text\tlabel\na b\tn\nc\tyes\n")
    workload = read_workload(path, MANIFEST)
    assert workload.inputs == ["a b", "c"]
    assert [example.label for example in workload.examples] == ["n", "yes"]
    assert (workload.path, workload.source) == (path, "d.tsv")
    assert workload.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_workload_of_pairs_holds_pairs(tmp_path: Path) -> None:
    columns = {"text": "2", "text_pair": "3", "label": "1", "header": False, "delimiter": "tab"}
    (tmp_path / "d.csv").write_text("n\ta, b\tc\np\td\te\tmore\n")
    manifest = {**MANIFEST, "segments": 2, "data": {**MANIFEST["data"], "columns": columns}}
    assert read_workload(tmp_path / "d.csv", manifest).inputs == [("a, b", "c"), ("d", "e")]


def test_a_workload_may_lack_the_label_column_but_not_the_text(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tid\na b\t1\nc\t2\n")
    workload = read_workload(tmp_path / "d.tsv", MANIFEST)
    assert ([example.label for example in workload.examples], workload.inputs) == ([None, None], ["a b", "c"])
    (tmp_path / "d.txt").write_text("a b\nc\n")
    assert read_workload(tmp_path / "d.txt", MANIFEST).inputs == ["a b", "c"]
    (tmp_path / "d.tsv").write_text("sentence\tlabel\na b\tn\n")
    with pytest.raises(DataError, match="line 1: no column 'text'"):
        read_workload(tmp_path / "d.tsv", MANIFEST)


def test_a_workload_with_an_unknown_label_is_refused_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na b\tn\nc\tmaybe\n")
    with pytest.raises(DataError, match="line 3: unknown label 'maybe'; expected one of: no, yes"):
        read_workload(tmp_path / "d.tsv", MANIFEST)


def test_figures_come_from_the_samples(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    steps: list[Step] = []
    result = bench(variants, workload, SUITE, tmp_path / "out", "edgebert bench", steps.append, Child())
    assert [case.variant for case in result.cases] == ["fp32", "1-graph", "bundle"] * 2
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
    ratios = {ratio.what: (ratio.value, ratio.ci_low, ratio.ci_high) for ratio in result.ratios}
    assert ratios == {
        "p50, natural lengths: fp32 / 1-graph": (2.0, 2.0, 2.0),
        "p50, natural lengths: fp32 / bundle": (8.0, 8.0, 8.0),
        "offline time, natural lengths: fp32 / 1-graph": (2.0, 2.0, 2.0),
        "offline time, natural lengths: fp32 / bundle": (8.0, 8.0, 8.0),
    }
    rows = [(row["variant"], row["p50_ms"], row.get("faster"), row.get("smaller")) for row in result.waterfall]
    assert rows == [("fp32", 8.0, None, None), ("1-graph", 4.0, 2.0, 1.0), ("bundle", 1.0, 4.0, 4.0)]
    assert (steps[0].line, steps[-1].number, steps[-1].total) == ("[1/24] fp32: quality, natural lengths", 24, 24)
    assert result.null_model == {"p50_us": 0.2, "samples": 90}
    assert result.finished


def test_everything_is_on_disk_raw_samples_of_every_case_too(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    result = bench(variants, workload, SUITE, tmp_path / "out", "edgebert bench", child=Child())
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document == json.loads(json.dumps(result.as_dict()))
    raw = [json.loads((tmp_path / "out" / case["raw"]).read_text()) for case in document["cases"]]
    assert [len(answer["latencies_ns"]) for answer in raw[0]["rounds"]] == [10, 10, 10]
    assert raw[0]["memory"]["end_rss"] == 80_000_000
    assert [answer["texts"] for answer in raw[3]["rounds"]] == [10, 10, 10]
    scored = json.loads((tmp_path / "out" / "raw" / "bundle-quality.json").read_text())
    assert scored["table"][:2] == [[0.0], [1.0]]


ALL = ("single_stream", "offline", "server", "cold_start", "memory", "soak")


def test_every_scenario_of_a_suite_gives_a_case_of_every_variant(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()
    suite = replace(SUITE, scenarios=ALL, cold_starts=4, lengths=(16,), server=Server(bound_ms=7.0))
    result = bench(variants, workload, suite, tmp_path / "out", "", child=child)
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
    ratios = {ratio.what: ratio.value for ratio in result.ratios if ratio.what.endswith("fp32 / bundle")}
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
    result = bench(variants, workload, suite, tmp_path / "out", "", child=too_slow)
    assert result.ratios == []
    assert [case.server["target_qps"] for case in result.cases if case.server] == [0.0, 125.0, 500.0]


def test_quality_is_compared_text_by_text(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    result = bench(variants, workload, SUITE, tmp_path / "out", "", child=Child())
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
    bench(variants, long, replace(SUITE, samples=30, scenarios=("single_stream",)), tmp_path / "out", "", child=child)
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

    more: dict[str, Any] = {"child": busy, "target": "ssh://pi", "environment": lambda: next(states)}
    result = bench(variants[::2], workload, replace(SUITE, scenarios=("single_stream",)), tmp_path, "", **more)
    assert result.environment == {"cpu": "x", "throttled": []}
    assert result.environment_after is not None
    assert result.environment_after["throttled"] == ["throttled now"]
    assert "cpu" not in result.environment_after
    assert {case.target for case in result.cases} == {"ssh://pi"}
    assert result.verdict == {
        "disturbed": True,
        "reasons": [
            "the machine was held back: throttled now",
            "fp32, single_stream, natural: other processes kept 0.50 cores busy",
            "bundle, single_stream, natural: other processes kept 0.50 cores busy",
        ],
    }


@pytest.mark.parametrize(("interrupted_at", "cases"), [(7, 0), (11, 3), (20, 6)])
def test_an_interrupt_keeps_what_is_done_and_says_where(
    interrupted_at: int, cases: int, variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunError) as caught:
        bench(variants, workload, SUITE, out, "", child=Child(interrupted_at, KeyboardInterrupt()))
    kept = f"what was measured is kept in {out / 'result.json'}" if cases else "no case was done"
    assert str(caught.value) == f"interrupted; {kept}"
    if cases:
        document = json.loads((out / "result.json").read_text())
        assert len(document["cases"]) == cases
        assert (document["finished"], document["verdict"]["disturbed"]) == (False, False)
        assert document["environment_after"] is not None


@pytest.mark.parametrize(("fails_at", "cases"), [(7, 0), (11, 3), (16, 3), (24, 6)])
def test_a_failed_process_leaves_the_cases_before_it_on_disk(
    fails_at: int, cases: int, variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    with pytest.raises(
        RunError, match=r"failed: killed; (what was measured is kept in .*result\.json|no case was done)$"
    ):
        bench(variants, workload, SUITE, tmp_path / "out", "", child=Child(fails_at))
    path = tmp_path / "out" / "result.json"
    found = json.loads(path.read_text())["cases"] if path.exists() else []
    assert [case["variant"] for case in found] == (["fp32", "1-graph", "bundle"] * 2)[:cases]


def test_fixed_lengths_need_no_text_and_every_variant_gets_the_same_ids(
    variants: list[Variant], tmp_path: Path
) -> None:
    child = Child()
    result = bench(variants, None, Suite(rounds=2, samples=10, lengths=(16, 64)), tmp_path, "", child=child)
    assert [(case.scenario, case.lengths) for case in result.cases[::3]] == [
        *(("single_stream", "16"), ("single_stream", "64")),
        *(("offline", "16"), ("offline", "64")),
    ]
    for length in (16, 64):
        drawn = [job["ids"] for job in child.jobs if job["length"] == length]
        assert {len(ids) for ids in drawn[0]} == {length}
        assert max(max(ids) for ids in drawn[0]) < 50
        assert all(ids == drawn[0] for ids in drawn)


def test_lengths_that_the_bundles_do_not_take_are_refused(variants: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"suite lengths \[65\]: the bundles take at most 64 tokens"):
        bench(variants, None, Suite(rounds=2, lengths=(16, 65)), tmp_path / "out", "", child=Child())


def test_bench_without_anything_to_run_is_refused(variants: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --data FILE with texts, or a suite with fixed lengths"):
        bench(variants, None, SUITE, tmp_path / "out", "", child=Child())


def test_a_baseline_is_found_inside_or_beside_the_bundle_or_given(bundle: Path, tmp_path: Path) -> None:
    beside = tmp_path / "tiny.stages" / "0-baseline"
    assert find_baseline(bundle, None) == beside
    assert find_baseline(bundle, str(beside)) == beside
    assert find_baseline(beside.parent / ".." / "tiny", None).resolve() == beside
    inside = make_bundle(bundle / "baseline")
    assert find_baseline(bundle, None) == inside


def test_the_folder_one_stands_in_is_a_bundle_too(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    assert find_baseline(Path("."), None).resolve() == bundle.with_name("tiny.stages") / "0-baseline"


def test_what_is_not_there_is_told(bundle: Path, tmp_path: Path) -> None:
    alone = make_bundle(tmp_path / "alone")
    with pytest.raises(BundleError, match=r"no full-precision baseline at .*alone/baseline or .*or give --baseline"):
        find_baseline(alone, None)
    with pytest.raises(BundleError, match=r"nowhere: no such folder;"):
        find_baseline(bundle, str(tmp_path / "nowhere"))
    with pytest.raises(BundleError, match=r"no stage bundles; export with export\.stages = true"):
        stage_folders(alone)


def test_two_bundles_of_one_name_stay_apart(bundle: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other" / "tiny")
    make_bundle(tmp_path / "other" / "tiny.stages" / "1-graph")
    variants = variants_of([bundle, other], find_baseline(bundle, None), True, SUITE)
    assert len(variants) == 5
    assert len({variant.name for variant in variants}) == 5


def test_a_runtime_that_the_bundle_has_no_graph_for_is_told(bundle: Path) -> None:
    with pytest.raises(BundleError, match="openvino"):
        variants_of([bundle], find_baseline(bundle, None), False, Suite(runtimes=("openvino",)))


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ('scenarios = ["multi_stream"]', ["'scenarios[0]' is 'multi_stream'", "'single_stream', 'offline', 'server'"]),
        ("[server]\nbound = 5", ["unknown key 'server.bound'", "bound_ms"]),
        ("[server]\npercent = 101", ["'server.percent' is 101", "between 50.0 and 100.0"]),
        ("cold_starts = 1", ["'cold_starts' is 1", "at least 2"]),
        ("soak_minutes = 56", ["'soak_minutes' is 56", "between 0.001 and 55.0"]),
        ("scenarios = []", ["name at least one"]),
        ("rounds = 1", ["'rounds' is 1", "at least 2"]),
        ("samples = 9", ["'samples' is 9", "at least 10"]),
        ("lengths = [2]", ["'lengths'", "between 3 and 512"]),
        ("runs = 5", ["unknown key 'runs'", "rounds"]),
    ],
)
def test_an_unsound_suite_is_refused(text: str, parts: list[str], tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_suite(tmp_path / "s.toml")
    for part in ("s.toml", *parts):
        assert part in str(caught.value)
    assert read_suite(None) == Suite()


@pytest.fixture
def job(built: Path, data_dir: Path) -> dict[str, Any]:
    """A job for a real child, but for its scenario."""
    manifest = json.loads((built / "manifest.json").read_text())
    texts = read_workload(data_dir / "test.tsv", manifest).inputs[:5]
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "length": 0, "warmup": 2, "samples": 12}
    return {**job, "batch_size": 4, "texts": texts, "seed": 7, "arena": True, "soak_minutes": 0.001}


def test_a_real_child_measures_what_an_application_would_see(job: dict[str, Any]) -> None:
    answer = run_child({**job, "scenario": "single_stream"})
    assert len(answer["latencies_ns"]) == len(answer["null_ns"]) == 12
    assert min(answer["latencies_ns"]) > 10_000
    assert answer["start_ns"] < answer["import_ns"] < answer["load_ns"] < answer["first_ns"]
    assert answer["cold_start_ns"] > answer["first_ns"] - answer["start_ns"]
    assert 10e6 < answer["import_rss"] <= answer["load_rss"] <= answer["first_rss"] <= answer["end_rss"] < 1e9
    assert answer["processor"] is None or answer["processor"]["own_ns"] > 0


def test_a_real_child_answers_arrivals_and_keeps_on_for_a_while(job: dict[str, Any]) -> None:
    settings = {"bound_ms": 10_000.0, "percent": 90.0, "queries": 20, "tolerance": 0.4}
    served = run_child({**job, "scenario": "server", "server": settings})
    assert len(served["latencies_ns"]) == 20
    assert served["target_qps"] == pytest.approx(0.75 * served["capacity_qps"])
    assert served["tried_qps"] == pytest.approx([0.5 * served["capacity_qps"], served["target_qps"]])
    soaked = run_child({**job, "scenario": "soak"})
    assert 0.03e9 < sum(soaked["latencies_ns"]) < 60e9


def test_a_real_child_runs_without_an_arena_and_at_a_fixed_length(job: dict[str, Any]) -> None:
    answer = run_child({**job, "scenario": "memory", "arena": False})
    assert answer["first_rss"] <= answer["end_rss"]
    fixed = {**job, "scenario": "offline", "length": 8, "ids": [[5] * 8, [6] * 8]}
    assert run_child(fixed)["texts"] == 12


def test_a_real_child_scores_a_file_as_the_manifest_has_it(
    built: Path, data_dir: Path, manifest: dict[str, Any]
) -> None:
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "scenario": "quality", "length": 0}
    job |= {"warmup": 0, "samples": 10, "batch_size": 4, "texts": ["a"]}
    answer = run_child({**job, "data": str(data_dir / "test.tsv"), "metric": "accuracy"})
    assert answer["quality"] == pytest.approx(manifest["metrics"]["test"])
    assert len(answer["table"]) == 64
    assert sum(row[0] for row in answer["table"]) / 64 == pytest.approx(manifest["metrics"]["test"]["value"], abs=1e-6)


def test_a_child_that_fails_gives_one_line(built: Path, tmp_path: Path) -> None:
    job = {"bundle": str(tmp_path / "none"), "runtime": "onnxruntime", "threads": 1, "scenario": "memory", "length": 0}
    with pytest.raises(RunError) as caught:
        run_child({**job, "warmup": 0, "samples": 10, "batch_size": 4, "texts": ["a"]})
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'none'}: memory failed: ")
    assert "no manifest.json" in str(caught.value)


def test_fixed_lengths_run_on_a_bundle_of_a_small_vocabulary(built: Path, tmp_path: Path) -> None:
    suite = Suite(scenarios=("single_stream",), rounds=2, samples=10, warmup=0, lengths=(16,))
    variants = variants_of([built], find_baseline(built, None), False, suite)
    result = bench(variants, None, suite, tmp_path, "")
    assert [case.samples for case in result.cases] == [20, 20]
