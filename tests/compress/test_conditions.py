"""Conditions of a stage's result besides its inputs: tools, precision, processes, device."""

import pytest
import torch

from edgebert.compress import conditions
from edgebert.compress.conditions import GRAPH, TRAINING, differences, graph_tools, merged_tools
from edgebert.recipe import TrainSettings


def ran(precision: str = "auto") -> dict[str, object]:
    return conditions.conditions(("torch",), TrainSettings(precision=precision))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("precision", "has", "used"),
    [("auto", True, "bf16"), ("auto", False, "fp32"), ("bf16", False, "bf16"), ("fp32", True, "fp32")],
)
def test_the_precision_is_the_one_that_the_machine_settles(
    precision: str, has: bool, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.compress.train.has_bf16", lambda: has)
    assert ran(precision)["precision"] == used


def test_processes_and_gpu_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (ran("fp32")["processes"], ran("fp32")["device"]) == (1, "cpu")
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert (ran("fp32")["processes"], ran("fp32")["device"]) == (3, "cuda")


def test_what_trains_nothing_depends_on_its_tools_alone() -> None:
    found = conditions.conditions(("torch", "no-such-package"))
    assert list(found) == ["tools"]
    assert list(found["tools"]) == ["torch"]
    assert found["tools"]["torch"][0].isdigit()


@pytest.mark.parametrize(
    "name", sorted({*TRAINING, *graph_tools("static", ["onnx", "openvino"])} - {"onnxruntime-gpu"})
)
def test_every_tool_is_named_as_it_is_installed(name: str) -> None:
    assert conditions.version(name)


@pytest.mark.parametrize(
    ("form", "formats", "more"),
    [
        ("dynamic", ["onnx"], set()),
        ("static", ["onnx"], {"neural-compressor"}),
        ("dynamic", ["onnx", "openvino"], {"openvino", "nncf"}),
        ("fp16", ["onnx", "openvino"], {"openvino"}),
        ("measure", ["openvino"], {"neural-compressor", "openvino", "nncf"}),
    ],
)
def test_a_graph_names_what_writes_its_form(form: str, formats: list[str], more: set[str]) -> None:
    assert set(graph_tools(form, formats)) == {*GRAPH, *more}


def test_tools_of_stages_come_together() -> None:
    assert merged_tools([{"b": "2", "a": "1"}, {"a": "1"}]) == {"a": "1", "b": "2"}
    assert merged_tools([{"a": "1"}, {"a": "3"}, {"a": "1"}]) == {"a": "1, 3"}


def test_differences_name_what_changed() -> None:
    before = {"tools": {"torch": "2.12", "numpy": "2"}, "device": "cpu"}
    now = {"tools": {"torch": "2.13", "numpy": "2"}, "device": "cuda"}
    assert differences(before, now) == ["device cpu (now cuda)", "torch 2.12 (now 2.13)"]
    assert differences(now, now) == []
