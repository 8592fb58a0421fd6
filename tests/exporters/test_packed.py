"""Attention for a GPU's kernels: one matmul and lengths, equal answers, correctly counted cost."""

from collections import Counter
from pathlib import Path

import onnx
import pytest
from graph_answers import assert_reads_the_mask, assert_same_padded_and_alone

from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.exporters.attention import OPERATOR, PACKED
from edgebert.exporters.cost import graph_cost
from edgebert.exporters.onnx import export_fast
from edgebert.exporters.packed import pack_attention
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


@pytest.fixture(scope="module")
def three(classifier_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph of three layers with one, two and three of four heads left; the last layer computes only [CLS]."""
    torch = pytest.importorskip("torch")
    model = checkpoint.load_model(classifier_checkpoint, "text-classification", ["a", "b"]).eval()
    heads = [torch.tensor(scores) for scores in ([9.0, 0, 0, 0], [9.0, 8, 0, 0], [9.0, 8, 7, 0])]
    cut(model, choose(Importance(heads, [torch.ones(64)] * 3), 0.5, 0.0))
    graph = tmp_path_factory.mktemp("three") / "model.onnx"
    export_fast(model, TRAINING, ["logits"], 1, 32, graph)
    return graph


@pytest.fixture
def packed(three: Path, tmp_path: Path) -> Path:
    model = onnx.load(three)
    assert pack_attention(model) == 2
    onnx.save(model, tmp_path / "packed.onnx")
    return tmp_path / "packed.onnx"


@pytest.mark.parametrize("length", [2, 7, 32])
def test_answers_stay_in_padded_batches_and_alone(three: Path, packed: Path, length: int) -> None:
    assert_same_padded_and_alone(three, packed, length)


def test_the_lengths_matter(packed: Path) -> None:
    assert_reads_the_mask(packed)


def test_a_layer_that_reads_all_rows_has_one_product(three: Path, packed: Path) -> None:
    before, after = (Counter(node.op_type for node in onnx.load(graph).graph.node) for graph in (three, packed))
    assert before[OPERATOR] == 3
    assert (after[PACKED], after[OPERATOR]) == (2, 1)
    assert before["MatMul"] - after["MatMul"] == 6


def test_it_multiplies_no_more(three: Path, packed: Path) -> None:
    def macs(graph: Path) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for product in graph_cost(graph):
            counted[product.kind] += product.macs(12)
        return dict(counted)

    assert macs(packed) == macs(three)


def test_a_graph_without_the_operator_stays_as_it_is(three: Path) -> None:
    model = onnx.load(three)
    for node in model.graph.node:
        node.op_type = node.op_type.replace(OPERATOR, "Other")
    before = model.SerializeToString()
    assert pack_attention(model) == 0
    assert model.SerializeToString() == before
