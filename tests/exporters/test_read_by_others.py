"""Other ONNX readers give a bundle's graph the same answers as ONNX Runtime, including padded batches."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import onnxruntime
import pytest
from tokenizers import Tokenizer

from edgebert.bundle import read_document
from edgebert.exporters.assemble import BundleParts, _config, _write_tokenizer


@pytest.mark.parametrize("lengths", [(9,), (9, 4), (3, 12, 1)])
def test_openvino_reads_the_int8_graph_itself(built: Path, lengths: tuple[int, ...]) -> None:
    openvino = pytest.importorskip("openvino")
    assert read_document(built)["precision"] == "int8-dynamic"
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
    longest = read_document(built)["max_length"]
    tokenizer = Tokenizer.from_file(str(built / "tokenizer.json"))
    assert len(tokenizer.encode("a film " * longest).ids) == longest
    session = onnxruntime.InferenceSession(str(built / "model.onnx"), providers=["CPUExecutionProvider"])
    for text in ("a film", "a film " * longest):
        given = {"input_ids": np.array([tokenizer.encode(text).ids])}
        given["attention_mask"] = np.ones_like(given["input_ids"])
        wanted = {value.name: given.get(value.name, 0 * given["input_ids"]) for value in session.get_inputs()}
        assert session.run(None, wanted)[0].shape == (1, 2)
    config = json.loads((built / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == longest
    # They say how the exporting process was started, and would change the bundle's hash with it.
    assert not {"is_local", "local_files_only"} & set(config)


def test_a_bundle_names_no_programs_of_its_checkpoint(built: Path, tmp_path: Path) -> None:
    source, out = Path(shutil.copytree(built, tmp_path / "source")), tmp_path / "out"
    out.mkdir()
    for name in ("config.json", "tokenizer_config.json"):
        stated = json.loads((source / name).read_text())
        stated |= {"auto_map": {"AutoConfig": "mine.Config"}, "custom_pipelines": {"mine": {"impl": "mine.Pipeline"}}}
        (source / name).write_text(json.dumps(stated))
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    _write_tokenizer(tokenizer, source, 12, ["input_ids", "attention_mask"], out)
    parts = SimpleNamespace(job=SimpleNamespace(model=source), data=SimpleNamespace(label_names=["a", "b"]))
    for written in (json.loads((out / "tokenizer_config.json").read_text()), _config(cast("BundleParts", parts), None)):
        assert written
        assert not {"auto_map", "custom_pipelines"} & set(written)


def test_a_tokenizer_that_pads_does_so_to_the_longest_text_of_a_batch(built: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    shutil.copytree(built, source)
    out.mkdir()
    padding = Tokenizer.from_file(str(source / "tokenizer.json"))
    padding.enable_padding(length=128, pad_id=0, pad_token="[PAD]")
    padding.save(str(source / "tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
    _write_tokenizer(tokenizer, source, 12, ["input_ids", "attention_mask"], out)
    tokenizer = Tokenizer.from_file(str(out / "tokenizer.json"))
    assert [len(one.ids) for one in tokenizer.encode_batch(["a", "a film"])] == [4, 4]
    assert len(tokenizer.encode("a film " * 12).ids) == 12
