"""Bench that is interrupted, whose child process fails, or that has nothing to run."""

import json
from pathlib import Path
from typing import Any

import pytest
from pretended_bench import SUITE, Child

from edgebert.commands.bench_tables import show
from edgebert.errors import InputError, RunError, TargetError
from edgebert.measure.bench import bench
from edgebert.measure.experiment import Experiment
from edgebert.measure.read import MAX_BYTES, read_result
from edgebert.measure.results import Result
from edgebert.measure.suite import Suite
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant
from edgebert.measure.workload import Workload


@pytest.mark.parametrize(("interrupted_at", "cases"), [(7, 0), (11, 3), (20, 6)])
def test_an_interrupt_keeps_what_is_done_and_says_where(
    interrupted_at: int, cases: int, variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunError) as caught:
        bench(Experiment(variants, workload, SUITE, out), Machine(child=Child(interrupted_at, KeyboardInterrupt())))
    kept = f"results so far are kept in {out / 'result.json'}" if cases else "no case was done"
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
        RunError, match=r"failed: killed; (results so far are kept in .*result\.json|no case was done)$"
    ):
        bench(Experiment(variants, workload, SUITE, tmp_path / "out"), Machine(child=Child(fails_at)))
    path = tmp_path / "out" / "result.json"
    found = json.loads(path.read_text())["cases"] if path.exists() else []
    assert [case["variant"] for case in found] == (["fp32", "1-graph", "bundle"] * 2)[:cases]


def test_lengths_that_the_bundles_do_not_take_are_refused(variants: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"suite lengths \[65\]: the bundles take at most 64 tokens"):
        bench(Experiment(variants, None, Suite(rounds=2, lengths=(16, 65)), tmp_path / "out"), Machine(child=Child()))


def test_bench_without_anything_to_run_is_refused(variants: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --data FILE with texts, or a suite with fixed lengths"):
        bench(Experiment(variants, None, SUITE, tmp_path / "out"), Machine(child=Child()))


def test_a_table_of_other_texts_than_the_baseline_s_is_told(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()

    def shorter(job: dict[str, Any]) -> dict[str, Any]:
        answer = child(job)
        return answer | {"table": answer["table"][:3]} if len(child.jobs) == 2 else answer

    with pytest.raises(RunError, match=r"quality answered for other texts than fp32, \(3, 1\); .* run the same"):
        bench(Experiment(variants, workload, SUITE, tmp_path), Machine(child=shorter))


def test_memory_that_the_system_does_not_tell_is_left_blank(
    variants: list[Variant], workload: Workload, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child, unknown = Child(), dict.fromkeys(("import_rss", "load_rss", "first_rss", "end_rss"))
    suite = Suite(scenarios=("memory",), rounds=1, samples=2)
    show(bench(Experiment(variants, workload, suite, tmp_path), Machine(child=lambda job: child(job) | unknown)))
    assert "memory" in capsys.readouterr().out


def test_a_target_that_falls_silent_leaves_the_cases_before_it_on_disk(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    silent = TargetError("ssh://board: the machine has sent no heartbeat")
    with pytest.raises(TargetError, match=r"no heartbeat; results so far are kept in .*result\.json$"):
        bench(Experiment(variants, workload, SUITE, tmp_path), Machine(child=Child(11, silent)))
    assert len(json.loads((tmp_path / "result.json").read_text())["cases"]) == 3


@pytest.mark.parametrize(
    ("figure", "said", "first", "kept"),
    [(1, "p50_ms' is '0.0'", 1, "no case was done"), (10**18, "throughput' is '0.0'", 10, r"kept in .*result\.json")],
)
def test_figures_that_no_result_can_hold_are_refused_and_what_came_before_stays(
    figure: int, said: str, first: int, kept: str, variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    child = Child()

    def odd(job: dict[str, Any]) -> dict[str, Any]:
        answer = child(job)
        return answer | {"latencies_ns": [figure]} if len(child.jobs) >= first else answer

    told = rf"^ssh://board: .*: single_stream answered impossible figures \(.*{said}.*{kept}$"
    with pytest.raises(TargetError, match=told):
        bench(Experiment(variants, workload, SUITE, tmp_path), Machine(child=odd, name="ssh://board"))
    assert not (tmp_path / "result.json").exists() or len(read_result(tmp_path)["cases"]) == 3


def test_a_result_that_cannot_be_read_again_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"not written, 'environment\.load' is nan"):
        Result("", {}, None, {"load": float("nan")}).write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", [RunError, TargetError])
def test_what_stopped_a_run_is_told_where_the_machine_says_nothing_more(
    kind: type[Exception], variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    asked = iter([{"cpu": "x"}])

    def environment() -> dict[str, Any]:
        for found in asked:
            return found
        raise kind("environment answered with another thing")

    with pytest.raises(RunError, match=r"failed: killed; results so far are kept in .*result\.json$"):
        bench(Experiment(variants, workload, SUITE, tmp_path), Machine(child=Child(11), environment=environment))
    assert len(read_result(tmp_path)["cases"]) == 3


def test_a_run_whose_result_cannot_be_written_does_not_say_that_it_is_kept(
    variants: list[Variant], workload: Workload, tmp_path: Path
) -> None:
    machine = Machine(child=Child(), environment=lambda: {"cpu": "x" * MAX_BYTES})
    with pytest.raises(RunError, match=r"not written, it has 17 MB, .*; no result was written$"):
        bench(Experiment(variants, workload, SUITE, tmp_path), machine)
    assert not (tmp_path / "result.json").exists()
