"""Our attention becomes one operator with equal answers, and its cost is counted correctly."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from graph_answers import assert_reads_the_mask, assert_same_padded_and_alone, logits

from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.exporters.attention import OPERATOR, expand_attention, fuse_attention
from edgebert.exporters.cost import graph_cost
from edgebert.exporters.onnx import _traced, fast_module
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


@pytest.fixture(scope="module")
def standard(classifier_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graph of three layers before fusion; the first layer has one head of four left, the others two and three."""
    torch = pytest.importorskip("torch")
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    heads = [torch.tensor(scores) for scores in ([9.0, 0, 0, 0], [9.0, 8, 0, 0], [9.0, 8, 7, 0])]
    cut(model, choose(Importance(heads, [torch.ones(64)] * 3), 0.5, 0.0))
    graph = tmp_path_factory.mktemp("attention") / "model.onnx"
    onnx.save(_traced(fast_module(model, TRAINING, 1, 32), ["logits"], model.config, 32), graph)
    return graph


@pytest.fixture
def fused(standard: Path, tmp_path: Path) -> Path:
    model = onnx.load(standard)
    fuse_attention(model)
    onnx.save(model, tmp_path / "fused.onnx")
    return tmp_path / "fused.onnx"


def operators(graph: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(graph).graph.node)


def test_every_layer_has_one_operator_with_its_own_number_of_heads(fused: Path) -> None:
    nodes = [node for node in onnx.load(fused).graph.node if node.op_type == OPERATOR]
    assert [entry.i for node in nodes for entry in node.attribute if entry.name == "num_heads"] == [1, 2, 3]
    left = operators(fused)
    assert not left["Softmax"]
    assert not left["Transpose"]
    assert not left["Reshape"]


@pytest.mark.parametrize("length", [2, 7, 32])
def test_answers_stay_in_padded_batches_and_alone(standard: Path, fused: Path, length: int) -> None:
    assert_same_padded_and_alone(standard, fused, length)


def test_the_mask_matters(fused: Path) -> None:
    assert_reads_the_mask(fused)


def test_what_it_multiplies_is_counted_as_before(standard: Path, fused: Path) -> None:
    assert graph_cost(fused) == graph_cost(standard)


def test_expanding_gives_the_products_back(fused: Path, standard: Path) -> None:
    model = onnx.load(fused)
    expand_attention(model)
    found = Counter(node.op_type for node in model.graph.node)
    assert found["MatMul"] == operators(standard)["MatMul"]
    assert not found[OPERATOR]


@pytest.mark.parametrize("parts", [("key", "value"), ("query", "key", "value")])
def test_equal_weights_of_query_key_and_value_are_expanded(
    parts: tuple[str, ...], classifier_checkpoint: Path, tmp_path: Path
) -> None:
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    for layer in model.bert.encoder.layer:
        for part in parts:
            getattr(layer.attention.self, part).weight.data[:] = (
                0 if "query" in parts else layer.attention.self.key.weight
            )
            getattr(layer.attention.self, part).bias.data[:] = 0
    traced = _traced(fast_module(model, TRAINING, 1, 32), ["logits"], model.config, 32)
    onnx.save(traced, tmp_path / "standard.onnx")
    fuse_attention(traced)
    expand_attention(traced)
    onnx.save(traced, tmp_path / "expanded.onnx")
    ids = np.random.default_rng(0).integers(5, 40, (3, 7))
    ours, theirs = (logits(tmp_path / name, ids, np.ones_like(ids)) for name in ("expanded.onnx", "standard.onnx"))
    assert np.abs(ours - theirs).max() <= 1e-5


def test_attention_under_another_mask_is_left_alone(standard: Path) -> None:
    model = onnx.load(standard)
    for node in model.graph.node:
        if node.op_type == "Cast" and node.input[0] == "attention_mask":
            node.input[0] = "input_ids"
    before = model.SerializeToString()
    assert fuse_attention(model) == 0
    assert model.SerializeToString() == before


def test_openvino_answers_padded_batches_alike_where_layers_lost_heads(fused: Path) -> None:
    openvino = pytest.importorskip("openvino")
    ids = np.random.default_rng(1).integers(5, 40, (3, 12))
    mask = np.ones_like(ids)
    mask[1, 5:], mask[2, 1:] = 0, 0
    model = openvino.Core().compile_model(str(fused), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model({"input_ids": ids, "attention_mask": mask})[0]
    assert np.abs(found - logits(fused, ids, mask)).max() <= 1e-5
