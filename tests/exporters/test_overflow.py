"""Values above FP16's range: all that become infinite on a GPU are found and stay in FP32; answers are equal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from family_checkpoints import make_family
from onnx import TensorProto, helper, numpy_helper

from edgebert.compress import arch, checkpoint
from edgebert.exporters.mixed import emulated, open_unoptimized, tensors_of_type, to_fp16
from edgebert.exporters.onnx import export_fast, export_plain
from edgebert.exporters.overflow import Overflow, find_overflow, lower_masks
from edgebert.exporters.packed import pack_attention
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

IDS = np.random.default_rng(0).integers(5, 40, (4, 14))
MASK = np.ones_like(IDS)
MASK[1, 9:], MASK[2, 5:], MASK[:, 12:] = 0, 0, 0
BATCH = {"input_ids": IDS, "attention_mask": MASK}
Outgrow = Callable[[Any], None]


def outgrown(tmp_path: Path, family: str, outgrow: Outgrow, plain: bool = False) -> onnx.ModelProto:
    """FP32 graph of a tiny model that was changed without changing its answers."""
    make_family(tmp_path / "source", family)
    model = checkpoint.load_model(tmp_path / "source", "text-classification", ["a", "b"]).eval()
    with torch.no_grad():
        outgrow(model)
    if plain:
        export_plain(model, TRAINING, ["logits"], tmp_path / "model.onnx")
    else:
        export_fast(model, TRAINING, ["logits"], 1, 32, tmp_path / "model.onnx")
    return onnx.load(tmp_path / "model.onnx")


def one_neuron(model: Any) -> None:
    """A neuron of the second layer reaches 90,000 for some tokens; weights that read it are smaller to compensate."""
    parts = arch.layer_parts(arch.encoder_layers(model)[1])
    parts.ffn_in.weight[3] = 16_000 * parts.ffn_in.weight[3].sign()
    parts.ffn_out.weight[:, 3] /= 90_000


def values(model: Any) -> None:
    """The values of attention, and its results, are large."""
    parts = arch.layer_parts(arch.encoder_layers(model)[0])
    parts.value.weight *= 1e6
    parts.value.bias *= 1e6
    parts.attention_output.weight /= 1e6


def scores(model: Any) -> None:
    """Every score contains 250,000 for all keys alike, so the softmax does not change."""
    parts = arch.layer_parts(arch.encoder_layers(model)[1])
    parts.query.weight[0], parts.key.weight[0] = 0, 0
    parts.query.bias[0], parts.key.bias[0] = 700, 1000


def weights(model: Any) -> None:
    """Only one weight is out of range; its neuron is 0 almost everywhere else."""
    parts = arch.layer_parts(arch.encoder_layers(model)[1])
    parts.ffn_in.weight[3] *= 1e-3
    parts.ffn_in.bias[3] = 1e-2
    parts.ffn_out.weight[:, 3] = 0
    parts.ffn_out.weight[5, 3] = 70_000


def infinite(model: onnx.ModelProto, batch: dict[str, Any]) -> list[str]:
    """FP16 values of a graph that become infinite or NaN on a GPU."""
    names = sorted(tensors_of_type(model, "tensor(float16)") - {each.name for each in model.graph.initializer})
    probe = emulated(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    found = open_unoptimized(probe).run(names, batch)
    return [name for name, value in zip(names, found, strict=True) if not np.isfinite(value).all()]


def answers(model: onnx.ModelProto, batch: dict[str, Any] = BATCH) -> Any:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, batch)[0]


def kinds(model: onnx.ModelProto, found: Overflow) -> list[str]:
    return sorted(node.op_type for node in model.graph.node if node.output[0] in found.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_one_neuron_at_90000_stays_in_fp32(family: str, tmp_path: Path) -> None:
    model = outgrown(tmp_path, family, one_neuron)
    full, found = answers(model), find_overflow(model, [BATCH])
    assert kinds(model, found) == ["Add", "Gelu", "MatMul", "MatMul"]
    assert max(found.peaks.values()) > 90_000
    naive = to_fp16(model)
    assert len(infinite(naive, BATCH)) >= 3
    # ONNX Runtime on a CPU does not show the overflow.
    assert np.isfinite(answers(naive)).all()
    packed = onnx.ModelProto.FromString(model.SerializeToString())
    assert pack_attention(packed, found.nodes) == 2
    for graph in (model, packed):
        mixed = to_fp16(graph, found.nodes)
        assert infinite(mixed, BATCH) == []
        assert np.abs(answers(emulated(mixed)) - full).max() <= 5e-3
        assert sum(each.data_type == TensorProto.FLOAT16 for each in mixed.graph.initializer) > 20
        assert {"FLOAT16", "FLOAT"} == {
            TensorProto.DataType.Name(each.data_type) for each in mixed.graph.initializer if len(each.dims) == 2
        }


@pytest.mark.slow
def test_what_leaves_the_range_inside_attention_or_as_a_weight_stays_in_fp32(tmp_path: Path) -> None:
    def every(model: Any) -> None:
        values(model)
        scores(model)
        weights(model)

    model = outgrown(tmp_path, "bert", every)
    full, found = answers(model), find_overflow(model, [BATCH])
    of_values, of_scores, of_weights = ["Add", "MatMul", "MatMul"], ["MultiHeadAttention"], ["MatMul"]
    assert kinds(model, found) == sorted([*of_values, "MultiHeadAttention", *of_scores, *of_weights])
    # All three stay in FP32: the rows of queries in the last layer are not those of keys.
    assert pack_attention(model, found.nodes) == 0
    mixed = to_fp16(model, found.nodes)
    assert infinite(mixed, BATCH) == []
    assert np.abs(answers(emulated(mixed)) - full).max() <= 5e-3


@pytest.mark.slow
def test_the_mask_of_a_plain_graph_needs_no_fp32(tmp_path: Path) -> None:
    model = outgrown(tmp_path, "mobilebert", lambda _: None, plain=True)
    batch = BATCH | {"token_type_ids": np.zeros_like(IDS)}
    full = answers(model, batch)
    assert find_overflow(model, [batch]).nodes
    lower_masks(model)
    assert np.abs(answers(model, batch) - full).max() <= 1e-6
    assert find_overflow(model, [batch]) == Overflow(frozenset(), {})
    assert infinite(to_fp16(model), batch) == []


def graph_of(nodes: list[onnx.NodeProto], **weights: Any) -> onnx.ModelProto:
    """A graph from input_ids, two per row, to `y`."""
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", 2])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "g", [ids], [made], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_what_only_a_norm_or_a_product_sums_up_counts_too() -> None:
    """Every value fits, but the mean of squares and the sum of products do not."""
    ones = np.ones(4, np.float32)
    table = np.array([[0, 0, 0, 0], [400, -400, 400, -400]], np.float32)
    column = np.array([[20.0], [20.0], [20.0], [20.0]], np.float32)
    norm = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"]),
        helper.make_node("LayerNormalization", ["x", "ones", "zeros"], ["y"]),
    ]
    product = [norm[0], helper.make_node("MatMul", ["x", "column"], ["y"])]
    for nodes, weights, peak in (
        (norm, {"ones": ones, "zeros": 0 * ones}, {"mean square of y": 160_000.0}),
        (product, {"column": column}, {"partial sums of y": 32_000.0}),
    ):
        model = graph_of(nodes, table=table, **weights)
        assert find_overflow(model, [{"input_ids": np.array([[0, 0]])}]) == Overflow(frozenset(), {})
        # One row of a batch is enough, for example a padded one.
        found = find_overflow(model, [{"input_ids": np.array([[0, 0], [0, 1]])}])
        assert found == Overflow(frozenset({"y"}), peak)


def test_between_nodes_in_fp32_nothing_is_cast() -> None:
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["x"]),
        helper.make_node("Mul", ["x", "large"], ["large_x"]),
        helper.make_node("Identity", ["large_x"], ["same"]),
        helper.make_node("Div", ["same", "large"], ["small"]),
        helper.make_node("Add", ["small", "x"], ["y"]),
    ]
    model = graph_of(nodes, table=np.array([[10.0], [20.0]], np.float32), large=np.float32(1e6))
    batch = {"input_ids": np.array([[0, 1]])}
    found = find_overflow(model, [batch])
    assert found.nodes == {"large_x", "same", "small"}
    mixed = to_fp16(model, found.nodes)
    assert [node.op_type for node in mixed.graph.node] == [
        *("Gather", "Cast", "Mul", "Identity", "Div", "Cast", "Add", "Cast")
    ]
    assert {each.name: each.data_type for each in mixed.graph.initializer} == {
        "table": TensorProto.FLOAT16,
        "large": TensorProto.FLOAT,
    }
    assert answers(emulated(mixed), batch).ravel() == pytest.approx([20.0, 40.0], abs=0.04)
    assert not np.isfinite(answers(emulated(to_fp16(model)), batch)).any()
