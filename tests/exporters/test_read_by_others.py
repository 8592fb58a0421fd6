"""A bundle's ONNX file is for everybody: other readers answer as ONNX Runtime does, padded batches too."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgebert.bundle import read_manifest


@pytest.mark.parametrize("lengths", [(9,), (9, 4), (3, 12, 1)])
def test_openvino_reads_the_int8_graph_itself(built: Path, lengths: tuple[int, ...]) -> None:
    openvino = pytest.importorskip("openvino")
    assert read_manifest(built)["precision"] == "int8-dynamic"
    random, shape = np.random.default_rng(len(lengths)), (len(lengths), max(lengths))
    mask = np.array([[1] * length + [0] * (shape[1] - length) for length in lengths], dtype=np.int64)
    given = {"input_ids": random.integers(5, 40, shape) * mask, "attention_mask": mask}
    graph = built / "model.onnx"
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    given = {value.name: given.get(value.name, np.zeros(shape, np.int64)) for value in session.get_inputs()}
    expected = session.run(None, given)[0]
    model = openvino.Core().compile_model(str(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert np.abs(model(given)[0] - expected).max() <= 1e-4
