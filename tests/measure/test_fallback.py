"""A runtime that cannot run on the machine: what is measured instead, with which message."""

from pathlib import Path
from typing import Any

import pytest
from manifests import manifest_of
from targets_helpers import make_variant

from edgebert.errors import MissingDependencyError
from edgebert.measure import fallback
from edgebert.measure.fallback import runnable
from edgebert.measure.targets.machine import Machine
from edgebert.measure.variants import Variant
from edgebert.runtimes import RUNTIMES

REASON = "the native core is not in this installation; install it"


def on_core(folder: Path, *others: str, is_default: bool = True) -> Variant:
    graphs = {name: RUNTIMES[name].graph for name in ("core", *others)}
    return Variant(
        folder.name, folder, manifest_of(runtime={"default": "core", "graphs": graphs}), "core", is_default=is_default
    )


def machine(jobs: list[Any], reason: str = REASON, **more: Any) -> Machine:
    def child(job: Any) -> Any:
        jobs.append(job)
        return {"unusable": reason}

    return Machine(child=child, **more)


def test_the_next_runtime_takes_its_place_and_one_line_names_them_all(tmp_path: Path) -> None:
    jobs: list[Any] = []
    lines: list[str] = []
    other = make_variant(tmp_path / "c", "fp32")
    variants = [other, on_core(tmp_path / "a", "onnxruntime"), on_core(tmp_path / "b", "onnxruntime", "openvino")]
    found = runnable(variants, machine(jobs, name="ssh://board"), lines.append)
    assert [(variant.name, variant.runtime, variant.instead_of) for variant in found] == [
        ("fp32", "onnxruntime", ""),
        ("a", "onnxruntime", "core"),
        ("b", "onnxruntime", "core"),
    ]
    assert lines == [f"note: ssh://board: a, b: {REASON}; onnxruntime is measured instead"]
    assert [(job["scenario"], job["bundle"], job["runtime"]) for job in jobs] == [
        ("usable", str(variant.folder), "core") for variant in variants[1:]
    ]


def test_one_that_runs_stays(tmp_path: Path) -> None:
    variant = on_core(tmp_path / "a", "onnxruntime")
    assert runnable([variant], machine([], reason=""), pytest.fail) == [variant]


@pytest.mark.parametrize(("others", "is_default"), [((), True), (("onnxruntime",), False)])
def test_one_that_is_named_or_alone_is_told(others: tuple[str, ...], is_default: bool, tmp_path: Path) -> None:
    variant = on_core(tmp_path / "a", *others, is_default=is_default)
    with pytest.raises(MissingDependencyError) as caught:
        runnable([variant], machine([]), pytest.fail)
    assert str(caught.value) == f"{variant.folder}: {REASON}"


def test_an_emulated_machine_compares_with_this_one_so_both_must_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(fallback, "run_child", machine([]).child)
    emulated = machine([], reason="", name="qemu://haswell", emulated="qemu")
    (found,) = runnable([on_core(tmp_path / "a", "onnxruntime")], emulated, lines.append)
    assert (found.runtime, found.instead_of, len(lines)) == ("onnxruntime", "core", 1)


def test_a_reason_from_elsewhere_is_shown_safely_and_is_short(tmp_path: Path) -> None:
    lines: list[str] = []
    runnable([on_core(tmp_path / "a", "onnxruntime")], machine([], reason="\x1b[31m\n" + "x" * 9000), lines.append)
    assert lines[0].isprintable()
    assert len(lines[0]) < 600
