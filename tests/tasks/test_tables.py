"""The seam between a task's two halves: every task has both, each with all that its package's docstring asks for."""

import dataclasses
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edgebert.compress import tasks as workstation
from edgebert.metrics.scores import Metric
from edgebert.runtime import tasks as device
from edgebert.runtime.model import Task

PACKAGE = Path(__file__).parent.parent / "edgebert"
# What every file must have, and how many arguments it takes where it is a function.
DEVICE = {"METRICS": None, "Settings": None, "read": 3, "TASK": None}
WORKSTATION = {
    "score": 3,
    "ROWS": None,
    "read_labels": 5,
    "model_class": 1,
    "outputs": 1,
    "targets": 3,
    "hard_loss": 2,
    "soft_loss": 4,
    "head": 1,
}
OPTIONAL = {"training_windows": 2, "collate": 2, "tune": 3, "check_width": 1, "observed": 3}
HALVES = [(device, DEVICE), (workstation, WORKSTATION)]


def half_of(package: ModuleType, task: str) -> Any:
    return device.device_half(task) if package is device else workstation.workstation_half(task)


def files_of(folder: str) -> set[str]:
    return {path.stem for path in (PACKAGE / folder / "tasks").glob("*.py")} - {"__init__"}


def faults(module: Any, wanted: dict[str, int | None]) -> list[str]:
    """What a module lacks of the names it must have, and functions that cannot be called with as many arguments."""
    return [fault for name, count in wanted.items() if (fault := _fault(module, name, count))]


def _fault(module: Any, name: str, count: int | None) -> str:
    if not hasattr(module, name):
        return f"no {name}"
    if count is not None:
        signature = inspect.signature(getattr(module, name))
        try:
            signature.bind(*[None] * count)
        except TypeError as error:
            return f"{name}{signature} of {count} arguments: {error}"
    return ""


def test_every_task_has_both_halves_and_is_known_by_name() -> None:
    assert files_of("runtime") == files_of("compress")
    assert device.task_names() == sorted(name.replace("_", "-") for name in files_of("runtime"))
    assert "text-classification" in device.task_names()


@pytest.mark.parametrize("name", ["translation", "text_classification", "", "../text-classification", "os"])
def test_a_task_that_is_not_there_is_told_with_those_that_are(name: str) -> None:
    with pytest.raises(ValueError, match="is not known; this EdgeBERT knows") as caught:
        device.device_half(name)
    assert repr(name) in str(caught.value)
    assert ", ".join(device.task_names()) in str(caught.value)


@pytest.mark.parametrize(("package", "wanted"), HALVES, ids=["device", "workstation"])
def test_the_docstring_of_a_package_names_all_that_a_file_must_have(
    package: ModuleType, wanted: dict[str, int | None]
) -> None:
    for name in [*wanted, *(OPTIONAL if package is workstation else ["MODEL", "KEYS", "DATA", "BY_LABEL"])]:
        assert f"`{name}`" in package.__doc__ or f"`{name}(" in package.__doc__


@pytest.mark.parametrize("task", device.task_names())
@pytest.mark.parametrize(("package", "wanted"), HALVES, ids=["device", "workstation"])
def test_a_half_has_all_that_its_package_asks_for(
    package: ModuleType, wanted: dict[str, int | None], task: str
) -> None:
    half = half_of(package, task)
    optional = {name: count for name, count in OPTIONAL.items() if package is workstation and hasattr(half, name)}
    lacks = faults(half, wanted | optional)
    assert not lacks, f"{package.__name__}, {task}: {'; '.join(lacks)}"


def test_what_a_file_lacks_is_told_by_name() -> None:
    bare = ModuleType("bare")
    assert faults(bare, DEVICE) == ["no METRICS", "no Settings", "no read", "no TASK"]
    bare.head = lambda model, labels: None  # type: ignore[attr-defined]
    bare.outputs = lambda result, layers=(): None  # type: ignore[attr-defined]
    assert faults(bare, {"head": 1, "score": 3, "outputs": 1}) == [
        "head(model, labels) of 1 arguments: missing a required argument: 'labels'",
        "no score",
    ]


@pytest.mark.parametrize("task", device.task_names())
def test_the_device_half_has_metrics_settings_and_a_task_of_the_right_kinds(task: str) -> None:
    half = device.device_half(task)
    assert half.METRICS
    assert all(isinstance(metric, Metric) for metric in half.METRICS.values())
    assert dataclasses.is_dataclass(half.Settings)
    assert half.Settings.__dataclass_params__.frozen
    assert half.TASK.OUTPUTS
    assert all(isinstance(rows, bool) for rows in half.TASK.OUTPUTS.values())
    methods = {name: method for name, method in vars(Task).items() if not name.startswith("_") and callable(method)}
    assert set(methods) == {"encode", "decode", "given", "expected", "predicted"}
    wanted = {name: len(inspect.signature(method).parameters) for name, method in methods.items()}
    lacks = faults(half.TASK, wanted)
    assert not lacks, f"{half.TASK.__name__}: {'; '.join(lacks)}"
    assert not faults(half, {"TASK": 2}), "a task is made from a manifest and an encoder"


@pytest.mark.parametrize("task", device.task_names())
def test_the_workstation_half_reads_rows_that_the_graph_can_give(task: str) -> None:
    assert workstation.workstation_half(task).ROWS in ("first", "all")
