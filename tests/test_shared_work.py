"""Shared work of tests: a folder is made once; a graph belongs to one module with one set of arguments."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shared_work import Traces, once

torch = pytest.importorskip("torch")


def test_a_folder_is_made_once_and_again_after_a_failure(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        once(tmp_path / "a", fails)
    for content in ("first", "second"):
        folder = once(tmp_path / "a", lambda to, content=content: (to / "file").write_text(content))
    assert [path.name for path in folder.iterdir()] == ["file"]
    assert (folder / "file").read_text() == "first"


class Scaled(torch.nn.Module):
    def __init__(self, weight: float = 1.0, power: int = 2) -> None:
        super().__init__()
        self.weight, self.power = torch.nn.Parameter(torch.full((2, 2), weight)), power

    def forward(self, rows: Any) -> Any:
        return rows @ self.weight**self.power


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call `torch.onnx.export`; return whether it traced a graph."""
    import onnx

    calls: list[Any] = []
    graph = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []))

    def export(*arguments: Any, **settings: Any) -> Any:
        calls.append(arguments)
        return SimpleNamespace(model_proto=graph)

    monkeypatch.setattr(torch.onnx, "export", export)
    traces = Traces(tmp_path / "traces")
    traces.install()

    def traced(module: Any, rows: Any, fresh: bool = False, **settings: Any) -> bool:
        before, traces.fresh = len(calls), fresh
        assert torch.onnx.export(module, (rows,), dynamo=True, **settings).model_proto == graph
        return len(calls) > before

    return traced


def test_only_the_same_module_with_the_same_arguments_has_a_graph_already(traced: Any) -> None:
    rows = torch.ones(3, 2)
    assert traced(Scaled(), rows)
    assert not traced(Scaled(), rows)
    assert traced(Scaled(), rows, fresh=True)
    for module in (Scaled(1.5), Scaled(power=3), Scaled().eval(), torch.nn.Sequential(Scaled()), Scaled().double()):
        assert traced(module, rows)
    assert traced(Scaled(), torch.ones(4, 2))
    assert traced(Scaled(), rows, output_names=["logits"])


def test_a_model_is_the_same_in_another_folder_and_with_other_labels(traced: Any, checkpoint: Path) -> None:
    from transformers import BertForSequenceClassification

    def model(**settings: Any) -> Any:
        torch.manual_seed(0)
        return BertForSequenceClassification.from_pretrained(checkpoint, **settings).eval()

    ids = torch.ones(1, 4, dtype=torch.int64)
    assert traced(model(), ids)
    same = model(id2label={0: "a", 1: "b"})
    same.config._name_or_path = "elsewhere"
    assert not traced(same, ids)
    assert traced(model(hidden_act="relu"), ids)
    assert traced(model(id2label={0: "a", 1: "b", 2: "c"}), ids)
