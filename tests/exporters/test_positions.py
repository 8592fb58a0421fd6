"""Positions stay precise in an FP16 graph: angles of long texts, and buckets of distances."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from family_checkpoints import make_family
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgebert.compress import checkpoint
from edgebert.exporters.mixed import emulated, open_unoptimized, to_fp16
from edgebert.exporters.onnx import export_plain
from edgebert.exporters.overflow import lower_masks
from edgebert.tasks.training_table import training_task

LENGTH = 5000


def graph_of(nodes: list[onnx.NodeProto], out: str, kind: int) -> onnx.ModelProto:
    """A graph over whole numbers `at`."""
    weights = [numpy_helper.from_array(np.array([7.3], np.float32), "scale")]
    inputs = [helper.make_tensor_value_info("at", TensorProto.INT64, ["n"])]
    outputs = [helper.make_tensor_value_info(out, kind, ["n"])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def answers(model: onnx.ModelProto) -> list[NDArray[np.generic]]:
    """A graph's result in FP32, and its result on a GPU in FP16."""
    given = {"at": np.arange(1, LENGTH)}
    return [open_unoptimized(each).run(None, given)[0] for each in (model, emulated(to_fp16(model)))]


def test_angles_of_far_positions_are_exact() -> None:
    nodes = [
        helper.make_node("Cast", ["at"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["whole", "scale"], ["angle"]),
        helper.make_node("Cos", ["angle"], ["cos"]),
    ]
    full, half = answers(graph_of(nodes, "cos", TensorProto.FLOAT))
    assert np.abs(full - half).max() <= 1e-3


def test_buckets_of_distances_are_the_same() -> None:
    nodes = [
        helper.make_node("Cast", ["at"], ["whole"], to=TensorProto.FLOAT),
        helper.make_node("Log", ["whole"], ["log"]),
        helper.make_node("Mul", ["log", "scale"], ["scaled"]),
        helper.make_node("Ceil", ["scaled"], ["ceiling"]),
        helper.make_node("Cast", ["ceiling"], ["bucket"], to=TensorProto.INT64),
    ]
    full, half = answers(graph_of(nodes, "bucket", TensorProto.INT64))
    assert np.array_equal(full, half)
    assert len(set(full.tolist())) > 20


@pytest.mark.slow
@pytest.mark.parametrize(("family", "most"), [("modernbert", 0.02), ("deberta-v2", 0.1)])
def test_a_long_text_is_answered_in_fp16_as_in_fp32(family: str, most: float, tmp_path: Path) -> None:
    sizes = {"num_hidden_layers": 1, "max_position_embeddings": 2048, "initializer_range": 0.3}
    folder = make_family(tmp_path / "model", family, "TokenClassification", **sizes)
    model = checkpoint.load_model(folder, "token-classification", ["a", "b"]).eval()
    export_plain(model, training_task("token-classification"), ["logits"], tmp_path / "model.onnx")
    graph = onnx.load(tmp_path / "model.onnx")
    lower_masks(graph)
    ids = np.random.default_rng(0).integers(5, 40, (1, 1500))
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    full, half = (open_unoptimized(each).run(["logits"], given)[0] for each in (graph, emulated(to_fp16(graph))))
    # With imprecise positions alone, the logits change by 0.035 and 1.3.
    assert np.abs(full - half).max() <= most
