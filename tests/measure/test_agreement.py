"""Agreement: which answers count as equal, what the result has, and what is kept if a machine fails."""

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from manifests import manifest_of

from edgebert.errors import InputError, RunError
from edgebert.measure.agreement import agree, compare, same
from edgebert.measure.experiment import Experiment
from edgebert.measure.process import run_child
from edgebert.measure.scenarios import answers
from edgebert.measure.scenarios.answers import figures, plain
from edgebert.measure.suite import Suite
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant, find_baseline, variants_of
from edgebert.measure.workload import Workload, read_workload

SUITE = Suite()


@pytest.mark.parametrize(
    ("ours", "theirs", "equal"),
    [
        (1, 1, True),
        (1, 0, False),
        ("Paris", "Paris", True),
        ("Paris", "paris", False),
        (["O", "B-x"], ["O", "B-x"], True),
        (["O", "B-x"], ["O", "I-x"], False),
        (["O"], ["O", "O"], False),
        (["intent", ["O"]], ["intent", ["B-x"]], False),
        ([True, False], [True, False], True),
        (3.5, 3.509, True),
        (3.5, 3.511, False),
        ([0.1, 0.2], [0.1, 0.3], False),
    ],
)
def test_labels_are_equal_or_not_and_scores_are_equal_within_a_hundredth(ours: Any, theirs: Any, equal: bool) -> None:
    assert same(ours, theirs) is equal


def test_a_comparison_counts_answers_and_keeps_the_worst_output() -> None:
    finite = {"not_finite": [0, 0, 0, 0]}
    ours = {"answers": [0, 1, 1, 0], "outputs": [[1.0, 2.0], [0.0, 0.0], [1.0, 1.0], [5.0, 5.0]], **finite}
    theirs = {"answers": [0, 1, 0, 0], "outputs": [[1.0, 2.0], [0.0, 0.0], [1.0, 1.25], [5.0, 4.9]], **finite}
    alike = {"n": 4, "equal": 3, "share": 0.75, "largest_difference": 0.25, "not_finite": 0}
    assert compare(ours, theirs) == alike


@pytest.mark.parametrize("broken", [math.nan, math.inf])
@pytest.mark.parametrize("outputs", [[0.5], [0.5, 1.0]])
def test_an_output_that_is_no_number_is_told_and_its_answer_is_not_equal(broken: float, outputs: list[float]) -> None:
    ours = {"answers": [0, 1], "outputs": [[1.0], outputs], "not_finite": [0, 0]}
    theirs = {"answers": [0, 1], "outputs": [[1.0], [broken, *outputs[1:]]], "not_finite": [0, 1]}
    found = compare(ours, theirs)
    assert found == {"n": 2, "equal": 1, "share": 0.5, "largest_difference": None, "not_finite": 1}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_figures_are_spread_over_every_output_of_every_window() -> None:
    long, short = np.arange(1000.0), np.array([[7.0, 8.0]])
    kept = figures([(long, short), (short, -long)])
    assert len(kept) == 256 + 2 + 2 + 256
    assert (kept[0], kept[255], kept[256:260], kept[-1]) == (0.0, 999.0, [7.0, 8.0, 7.0, 8.0], -999.0)
    assert max(np.diff(kept[:256])) <= 4


def test_outputs_that_are_no_numbers_are_counted_and_give_no_quality(tmp_path: Path) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tp\nb\tn\n")
    logits = [np.array([1.0, 2.0]), np.array([np.nan, -np.inf])]
    encoder = SimpleNamespace(given=lambda example: example.text, encode=lambda text: [text])
    task = SimpleNamespace(
        **vars(encoder),
        find_tokens=None,
        unknown=lambda example: [],
        decode=lambda *given: 1,
        predicted=int,
        expected=lambda example, unknown: int(example.label == "p"),
    )
    model: Any = SimpleNamespace(
        manifest=manifest_of(), task=task, outputs=lambda windows: [(logits["ab".index(*windows)],)]
    )
    found = answers.work(model, {"data": str(tmp_path / "d.tsv"), "metric": "accuracy"}, lambda at: None)
    assert (found["not_finite"], found["quality"]) == ([0, 2], None)


def test_answers_of_every_kind_go_through_json() -> None:
    kinds = [np.array([True, False]), np.float32(0.5), ("intent", ("O", "B-x")), {"b", "a"}, 3, "text"]
    assert json.loads(json.dumps(plain(kinds))) == [
        *([True, False], 0.5, ["intent", ["O", "B-x"]], ["a", "b"], 3, "text")
    ]


def machine(child: Any) -> Machine:
    return Machine("qemu://x", child, lambda: {"machine": "aarch64"}, "qemu 10, -cpu x")


def test_every_variant_answers_here_and_there_and_the_baseline_is_kept_when_the_next_one_fails(
    built: Path, data_dir: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    variants = variants_of([built], find_baseline(built, None), False, SUITE)
    workload = read_workload(data_dir / "test.tsv", manifest_of(manifest))
    jobs: list[dict[str, Any]] = []

    def there(job: dict[str, Any]) -> dict[str, Any]:
        jobs.append(job)
        if len(jobs) == 2:
            raise RunError("gone")
        found = run_child(job)
        return found | {"answers": [1 - found["answers"][0], *found["answers"][1:]]}

    with pytest.raises(RunError, match="gone"):
        agree(Experiment(variants, workload, SUITE, tmp_path, "edgebert bench"), machine(there))
    document = json.loads((tmp_path / "result.json").read_text())
    (case,) = document["cases"]
    assert (case["variant"], case["target"], case["scenario"]) == ("fp32", "qemu://x", "agreement")
    assert case["agreement"] == {"n": 64, "equal": 63, "share": 0.984375, "largest_difference": 0.0, "not_finite": 0}
    assert (case["emulated"], case["p50_ms"], case["raw"]) == ("qemu 10, -cpu x", None, None)
    assert [Path(job["bundle"]).name for job in jobs] == ["0-baseline", "tiny"]
    assert document["environment"] == {"machine": "aarch64"}
    assert document["finished"] is False


def test_a_run_to_its_end_is_finished(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    def answered(job: dict[str, Any]) -> dict[str, Any]:
        return {"answers": [0], "outputs": [[1.0]], "not_finite": [0], "quality": None}

    agree(Experiment(variants, workload, SUITE, tmp_path / "out", "edgebert bench"), machine(answered), here=answered)
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [case["role"] for case in document["cases"]] == ["baseline", "stage", "bundle"]
    assert document["finished"] is True


def test_the_quality_of_all_answers_is_the_manifests(built: Path, data_dir: Path, manifest: dict[str, Any]) -> None:
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "scenario": "answers", "length": 0}
    job |= {"texts": ["a"], "data": str(data_dir / "test.tsv"), "metric": "accuracy"}
    found = run_child(job)
    assert found["quality"] == pytest.approx(manifest["metrics"]["test"])
    assert len(found["answers"]) == len(found["outputs"]) == 64
    assert [row.index(max(row)) for row in found["outputs"]] == found["answers"]


def test_texts_without_labels_have_answers_and_no_quality(built: Path, tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("a good film\nthe story was awful\n")
    job = {"bundle": str(built), "runtime": "onnxruntime", "threads": 1, "scenario": "answers", "length": 0}
    found = run_child(job | {"texts": ["a"], "data": str(tmp_path / "d.txt"), "metric": "accuracy"})
    assert (len(found["answers"]), found["quality"]) == (2, None)


def test_without_a_data_file_there_is_nothing_to_compare(tmp_path: Path) -> None:
    workload: Workload | None = None
    with pytest.raises(InputError, match="emulation shows answers, not times; give --data FILE"):
        agree(Experiment([], workload, SUITE, tmp_path), machine(run_child))


@pytest.mark.parametrize("other", [{"answers": [0, 1]}, {"outputs": [[1.0, 2.0]]}, {"not_finite": []}])
def test_another_number_of_answers_than_here_is_told(
    other: dict[str, Any], variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    ours = {"answers": [0], "outputs": [[1.0]], "not_finite": [0], "quality": None}
    with pytest.raises(RunError, match=r"^qemu://x: fp32: answered a different number of texts or outputs than here"):
        agree(
            Experiment(variants, workload, SUITE, tmp_path / "out"),
            machine(lambda job: ours | other),
            here=lambda job: ours,
        )
