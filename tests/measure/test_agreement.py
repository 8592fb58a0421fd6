"""Agreement: which answers count as equal, what a result of it holds, and what is kept when a machine fails."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgebert.errors import InputError, RunError
from edgebert.measure.agreement import agree, compare, same
from edgebert.measure.bench import Workload, read_workload
from edgebert.measure.process import run_child
from edgebert.measure.scenarios.answers import plain
from edgebert.measure.suite import Suite
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant, find_baseline, variants_of

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
    ours = {"answers": [0, 1, 1, 0], "outputs": [[1.0, 2.0], [0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]}
    theirs = {"answers": [0, 1, 0, 0], "outputs": [[1.0, 2.0], [0.0, 0.0], [1.0, 1.25], [5.0, 4.9]]}
    assert compare(ours, theirs) == {"n": 4, "equal": 3, "share": 0.75, "largest_difference": 0.25}


def test_answers_of_every_kind_go_through_json() -> None:
    answers = [np.array([True, False]), np.float32(0.5), ("intent", ("O", "B-x")), {"b", "a"}, 3, "text"]
    assert json.loads(json.dumps(plain(answers))) == [
        *([True, False], 0.5, ["intent", ["O", "B-x"]], ["a", "b"], 3, "text")
    ]


def machine(child: Any) -> Machine:
    return Machine("qemu://x", child, lambda: {"machine": "aarch64"}, "qemu 10, -cpu x")


def test_every_variant_answers_here_and_there_and_the_baseline_is_kept_when_the_next_one_fails(
    built: Path, data_dir: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    variants = variants_of([built], find_baseline(built, None), False, SUITE)
    workload = read_workload(data_dir / "test.tsv", manifest)
    jobs: list[dict[str, Any]] = []

    def there(job: dict[str, Any]) -> dict[str, Any]:
        jobs.append(job)
        if len(jobs) == 2:
            raise RunError("gone")
        found = run_child(job)
        return found | {"answers": [1 - found["answers"][0], *found["answers"][1:]]}

    with pytest.raises(RunError, match="gone"):
        agree(variants, workload, SUITE, tmp_path, "edgebert bench", machine(there))
    document = json.loads((tmp_path / "result.json").read_text())
    (case,) = document["cases"]
    assert (case["variant"], case["target"], case["scenario"]) == ("fp32", "qemu://x", "agreement")
    assert case["agreement"] == {"n": 64, "equal": 63, "share": 0.984375, "largest_difference": 0.0}
    assert (case["emulated"], case["p50_ms"], case["raw"]) == ("qemu 10, -cpu x", None, None)
    assert [Path(job["bundle"]).name for job in jobs] == ["0-baseline", "tiny"]
    assert document["environment"] == {"machine": "aarch64"}
    assert document["finished"] is False


def test_a_run_to_its_end_is_finished(variants: list[Variant], workload: Workload, tmp_path: Path) -> None:
    def answered(job: dict[str, Any]) -> dict[str, Any]:
        return {"answers": [0], "outputs": [[1.0]], "quality": None}

    agree(variants, workload, SUITE, tmp_path / "out", "edgebert bench", machine(answered), here=answered)
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
        agree([], workload, SUITE, tmp_path, "", machine(run_child))
