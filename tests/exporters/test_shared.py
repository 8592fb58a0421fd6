"""Layers that share their weights share them in the graph, in full precision and in INT8."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from family_checkpoints import make_family
from family_models import IDS, MASK, load
from this_machine import choice_here

from edgebert.exporters.onnx import export_plain
from edgebert.exporters.quantize.dynamic import quantize_weights
from edgebert.exporters.quantize.graph import constants
from edgebert.exporters.shared import share_equal_weights
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


def outputs(graph: Path) -> np.ndarray:
    given = {"input_ids": IDS.numpy(), "attention_mask": MASK.numpy(), "token_type_ids": np.zeros_like(IDS.numpy())}
    (found,) = OnnxSession(graph, 1, "CPUExecutionProvider").run(given)
    return found


@pytest.mark.slow
def test_six_layers_of_one_group_are_hardly_larger_than_one(tmp_path: Path) -> None:
    sizes: dict[int, list[int]] = {}
    for layers in (1, 6):
        folder = make_family(
            tmp_path / str(layers), "albert", num_hidden_layers=layers, hidden_size=96, intermediate_size=384
        )
        model, full, small = load(folder), tmp_path / f"{layers}.onnx", tmp_path / f"{layers}.int8.onnx"
        export_plain(model, TRAINING, ["logits"], full)
        quantize_weights(full, choice_here(), small)
        with torch.no_grad():
            expected = model(input_ids=IDS, attention_mask=MASK).logits.numpy()
        assert np.abs(outputs(full) - expected).max() <= 1e-5
        assert np.abs(outputs(small) - expected).max() <= 0.1
        kinds = [node.op_type for node in onnx.load(small).graph.node]
        assert kinds.count("MatMulInteger") + kinds.count("DynamicQuantizeMatMul") >= 6 * layers
        sizes[layers] = [path.stat().st_size for path in (full, small)]
    weights = 4 * 96 * 96 + 2 * 96 * 384
    assert sizes[6][0] - sizes[1][0] < weights
    assert sizes[6][1] - sizes[1][1] < weights


def test_equal_weights_are_held_once_and_read_by_the_same_nodes() -> None:
    one, other = np.ones((32, 32), np.float32), np.eye(32, dtype=np.float32)
    weights = {"a": one, "b": one.copy(), "c": other, "d": one.astype(np.float64)}
    nodes = [onnx.helper.make_node("Identity", [name], [f"{name}2"]) for name in weights]
    graph = onnx.helper.make_graph(
        nodes, "g", [], [], [onnx.numpy_helper.from_array(values, name) for name, values in weights.items()]
    )
    model = onnx.helper.make_model(graph)
    for node in model.graph.node:
        model.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    assert share_equal_weights(model) == 1
    assert set(constants(model)) == {"a", "c", "d"}
    assert [node.input[0] for node in model.graph.node] == ["a", "a", "c", "d"]
    assert share_equal_weights(model) == 0
