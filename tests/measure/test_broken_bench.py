"""Bench that is interrupted, whose child fails, or that has nothing to run."""

import json
from pathlib import Path

import pytest
from pretended_bench import SUITE, Child

from edgebert.errors import InputError, RunError
from edgebert.measure.bench import Workload, bench
from edgebert.measure.suite import Suite
from edgebert.measure.variants import Variant


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


def test_lengths_that_the_bundles_do_not_take_are_refused(variants: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"suite lengths \[65\]: the bundles take at most 64 tokens"):
        bench(variants, None, Suite(rounds=2, lengths=(16, 65)), tmp_path / "out", "", child=Child())


def test_bench_without_anything_to_run_is_refused(variants: list[Variant], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --data FILE with texts, or a suite with fixed lengths"):
        bench(variants, None, SUITE, tmp_path / "out", "", child=Child())
