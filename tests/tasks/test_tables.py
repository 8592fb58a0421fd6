"""The table has every task under its own name, with everything that the base classes require."""

import dataclasses
from pathlib import Path

import pytest
from manifests import facts_of

from edgebert.errors import SettingsError
from edgebert.metrics.scores import Metric
from edgebert.tasks.device import DeviceTask
from edgebert.tasks.regression.predict import Regression
from edgebert.tasks.table import TASKS, device_task, spec_of, task_names
from edgebert.tasks.text_classification.predict import TextClassification
from edgebert.tasks.training_table import TRAINING_TASKS, training_task

FOLDERS = {path.parent.name for path in (Path(__file__).parents[2] / "edgebert" / "tasks").glob("*/__init__.py")}


def test_every_task_is_in_the_table_under_the_name_of_its_folder() -> None:
    assert task_names() == sorted(name.replace("_", "-") for name in FOLDERS)
    assert "text-classification" in task_names()
    assert {name: spec_of(name).name for name in TASKS} == {name: name for name in TASKS}


@pytest.mark.parametrize("name", ["translation", "text_classification", "", "../text-classification", "os"])
def test_a_task_that_is_not_there_is_told_with_those_that_are(name: str) -> None:
    with pytest.raises(ValueError, match="is not known; this EdgeBERT knows") as caught:
        device_task(name)
    assert repr(name) in str(caught.value)
    assert ", ".join(task_names()) in str(caught.value)


@pytest.mark.parametrize("task", task_names())
def test_a_spec_has_metrics_settings_and_outputs(task: str) -> None:
    spec = spec_of(task)
    assert tuple(spec.metrics) == spec.metric_names != ()
    assert all(isinstance(metric, Metric) for metric in spec.metrics.values())
    assert dataclasses.is_dataclass(spec.settings)
    assert spec.settings.__dataclass_params__.frozen
    assert spec.outputs
    assert all(isinstance(rows, bool) for rows in spec.outputs.values())


@pytest.mark.parametrize("task", task_names())
def test_a_task_lacks_no_method_on_either_side(task: str) -> None:
    assert not device_task(task).__abstractmethods__
    assert not TRAINING_TASKS[device_task(task)].__abstractmethods__


def test_every_task_has_a_training_side() -> None:
    assert list(TRAINING_TASKS) == [device_task(name) for name in TASKS]


@pytest.mark.parametrize("task", task_names())
def test_training_reads_rows_that_the_graph_can_give(task: str) -> None:
    assert training_task(task).rows in ("first", "all")


def test_settings_that_are_not_the_tasks_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"unknown key 'head\.top_k'"):
        training_task("regression", {"top_k": 3})


def test_a_task_with_a_method_missing_cannot_be_made() -> None:
    class Unfinished(TextClassification):
        decode = DeviceTask.decode

    manifest = {"labels": ["a", "b"], "segments": 1, "head": {"settings": {}}, "data": {}}
    assert TextClassification(facts_of(manifest), None).known == ["a", "b"]
    with pytest.raises(TypeError, match=r"abstract method '?decode"):
        Unfinished(manifest, None)


def test_a_task_without_a_tokenizer_says_so_when_it_needs_one() -> None:
    task = Regression(facts_of({"segments": 1, "head": {"settings": {}}}), None)
    with pytest.raises(RuntimeError, match="this regression task has no tokenizer"):
        task.encode("a text")
