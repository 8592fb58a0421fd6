"""A bundle's ONNX file is for everybody: other readers answer as ONNX Runtime does, padded batches too."""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

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


def test_the_tokenizer_alone_gives_what_the_graph_takes(built: Path) -> None:
    longest = read_manifest(built)["max_length"]
    tokenizer = Tokenizer.from_file(str(built / "tokenizer.json"))
    assert len(tokenizer.encode("a film " * longest).ids) == longest
    encoded = tokenizer.encode_batch(["a film", "a film that was long"])
    assert len({len(one.ids) for one in encoded}) == 1
    assert encoded[0].attention_mask.count(0) == encoded[1].ids.count(tokenizer.token_to_id("[PAD]")) + 3
    given = {"input_ids": np.array([one.ids for one in encoded])}
    given["attention_mask"] = np.array([one.attention_mask for one in encoded])
    session = onnxruntime.InferenceSession(str(built / "model.onnx"), providers=["CPUExecutionProvider"])
    wanted = {value.name: given.get(value.name, np.zeros_like(given["input_ids"])) for value in session.get_inputs()}
    assert session.run(None, wanted)[0].shape == (2, 2)
    assert json.loads((built / "tokenizer_config.json").read_text())["model_max_length"] == longest
