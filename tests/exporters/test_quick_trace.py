"""A model that is traced once has the graph of PyTorch's exporter, which traces it three times."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from family_checkpoints import make_family
from torch import Tensor, nn

from edgebert.compress import checkpoint
from edgebert.exporters import onnx as exporter
from edgebert.exporters.quick_trace import quick_trace, replace_operators
from edgebert.tasks.table import spec_of
from edgebert.tasks.training_table import training_task

ATEN = torch.ops.aten


def described(path: Path) -> list[Any]:
    """Nodes and weights of a graph with its values numbered in order, since their names differ.

    `allowzero` of a Reshape differs too; no shape in these graphs has a zero.
    """
    graph = onnx.load(path).graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    numbers: dict[str, int] = {}
    found: list[Any] = []
    for node in graph.node:
        for name in node.input:
            if name in weights and name not in numbers:
                found.append((weights[name].data_type, list(weights[name].dims), weights[name].raw_data))
        values = [numbers.setdefault(name, len(numbers)) for name in (*node.input, *node.output)]
        settings = sorted(str(each) for each in node.attribute if each.name != "allowzero")
        found.append((node.op_type, node.domain, values, settings))
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("traced_anew")
@pytest.mark.parametrize(
    ("family", "kind", "name"),
    [
        ("bert", "fast", "text-classification"),
        ("bert", "plain", "question-answering"),
        ("deberta-v2", "plain", "text-classification"),
        ("mobilebert", "plain", "fill-mask"),
        ("mpnet", "plain", "text-classification"),
    ],
)
def test_the_graph_is_the_one_of_three_traces(
    family: str, kind: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, outputs = training_task(name), list(spec_of(name).outputs)
    source = make_family(tmp_path / "model", family, "", num_hidden_layers=1)
    retraced: list[bool] = []

    @contextlib.contextmanager
    def noted() -> Iterator[None]:
        from torch.onnx._internal.exporter import _fx_passes

        full = _fx_passes.decompose_with_registry
        monkeypatch.setattr(_fx_passes, "decompose_with_registry", lambda *given: retraced.append(True) or full(*given))
        with quick_trace():
            yield
        monkeypatch.setattr(_fx_passes, "decompose_with_registry", full)

    for out, context in (("quick", noted), ("full", contextlib.nullcontext)):
        monkeypatch.setattr(exporter, "quick_trace", context)
        model = checkpoint.load_model(source, name, ["a", "b"]).eval()
        if kind == "fast":
            exporter.export_fast(model, task, outputs, 1, 32, tmp_path / out)
        else:
            exporter.export_plain(model, task, outputs, tmp_path / out)
    assert not retraced
    assert described(tmp_path / "quick") == described(tmp_path / "full")


class Does(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, rows: Tensor) -> Tensor:
        return self.function(rows)


def added_to(rows: Tensor) -> Tensor:
    doubled = rows * 2
    doubled += rows
    return doubled


def added_with_another_type(rows: Tensor) -> Tensor:
    doubled = rows * 2
    doubled += rows.to(torch.float64)
    return doubled


def added_to_a_view(rows: Tensor) -> Tensor:
    doubled = rows * 2
    doubled.view(-1).add_(1)
    return doubled.sum()


def added_to_the_input(rows: Tensor) -> Tensor:
    return rows.add_(1) * 2


def added_to_what_dropout_returned(rows: Tensor) -> Tensor:
    doubled = rows * 2
    kept = nn.functional.dropout(doubled, 0.5, training=False)
    kept.add_(1)
    return doubled + kept


def read_before(rows: Tensor) -> Tensor:
    doubled = rows * 2
    turned = doubled.t()
    doubled.add_(1)
    return turned + doubled.t()


def without_gradients(rows: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cumsum(rows, 1)


def dropped(rows: Tensor) -> Tensor:
    return nn.functional.dropout(rows, 0.5, training=True)


def alpha(rows: Tensor) -> Tensor:
    return torch.rsub(rows, 1.0, alpha=3)


def simple(rows: Tensor) -> Tensor:
    kept = nn.functional.dropout(1 - rows, 0.5, training=False).to(torch.float64).detach()
    return kept.t().contiguous().view(-1).to(torch.float64)


KNOWN = {
    *(ATEN.mul.Tensor, ATEN.add.Tensor, ATEN.sub.Tensor, ATEN.view.default, ATEN.t.default, ATEN.sum.default),
    *(ATEN.clone.default, ATEN._to_copy.default),
}


@pytest.mark.parametrize(
    ("function", "suffices"),
    [
        (simple, True),
        (added_to, True),
        (added_to_a_view, False),
        (added_with_another_type, False),
        (added_to_the_input, False),
        (added_to_what_dropout_returned, False),
        (read_before, False),
        (without_gradients, False),
        (torch.cos, False),
        (alpha, False),
    ],
)
def test_a_program_still_computes_the_same(function: Callable[[Tensor], Tensor], suffices: bool) -> None:
    rows = torch.arange(12, dtype=torch.float32).view(3, 4)
    program = torch.export.export(Does(function).eval(), (rows.clone(),))
    assert replace_operators(program, KNOWN) == suffices
    (*_, last) = program.graph.nodes
    assert [spec.arg.name for spec in program.graph_signature.output_specs] == [node.name for node in last.args[0]]
    found = program.module()(rows.clone())
    expected = function(rows.clone())
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_dropout_in_training_is_left_to_the_exporter() -> None:
    program = torch.export.export(Does(dropped), (torch.ones(3, 4),))
    assert not replace_operators(program, KNOWN)
    assert ATEN.dropout.default in [node.target for node in program.graph_module.graph.nodes]


def test_the_exporter_is_as_before_afterwards() -> None:
    from torch.onnx._internal.exporter import _fx_passes, _registration

    before = _fx_passes.decompose_with_registry, vars(_registration.ONNXRegistry)["from_torchlib"]
    with contextlib.suppress(ValueError), quick_trace():
        assert _fx_passes.decompose_with_registry is not before[0]
        raise ValueError
    assert (_fx_passes.decompose_with_registry, vars(_registration.ONNXRegistry)["from_torchlib"]) == before


def test_an_exporter_without_these_functions_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.onnx._internal.exporter import _decomp, _fx_passes

    before = _fx_passes.decompose_with_registry
    monkeypatch.delattr(_decomp, "get_onnx_implemented_overloads")
    with quick_trace():
        assert _fx_passes.decompose_with_registry is before
