"""The graph for texts without padding: equal answers without a mask, and the weights of the other file."""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from manifests import rewrite
from onnx import TensorProto

import edgebert
from edgebert.bundle import read_document, read_manifest
from edgebert.errors import BundleError, ParityError
from edgebert.exporters.parity import require_same
from edgebert.exporters.unpadded import LEAST_BYTES, UNPADDED, drop_mask, write_unpadded
from edgebert.runtime.load import opening_of
from edgebert.runtime.origin import Provider
from edgebert.runtime.session import CPU, Outputs, Session
from edgebert.runtime.sessions.onnxruntime import UnpaddedSession
from edgebert.runtimes import ONNXRUNTIME


def logits(graph: bytes, ids: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0])


@pytest.mark.parametrize("length", range(1, 33))
def test_full_precision_answers_are_the_same_at_every_length(classifier_graph: Path, length: int) -> None:
    model = onnx.load(classifier_graph)
    assert drop_mask(model) == 3
    ids = np.random.default_rng(length).integers(5, 40, (3, length))
    assert np.abs(logits(model.SerializeToString(), ids) - logits(classifier_graph.read_bytes(), ids)).max() <= 1e-5


def test_full_precision_graphs_have_none(classifier_graph: Path, tmp_path: Path, built: Path) -> None:
    assert not write_unpadded(classifier_graph, tmp_path / UNPADDED)
    assert not list(tmp_path.iterdir())
    stages = list(built.with_name(built.name + ".stages").iterdir())
    assert len(stages) > 1
    assert not any((folder / UNPADDED).exists() or "unpadded" in read_document(folder)["runtime"] for folder in stages)


def test_int8_weights_are_stored_once(built: Path) -> None:
    stored = (built / "model.onnx").read_bytes()
    whole = {tensor.name: tensor for tensor in onnx.load(built / "model.onnx").graph.initializer}
    large = {name for name, tensor in whole.items() if is_int8(tensor) and len(tensor.raw_data) >= LEAST_BYTES}
    assert large
    graph = onnx.load(built / UNPADDED, load_external_data=False).graph
    referring = {tensor.name: tensor for tensor in graph.initializer if tensor.external_data}
    assert set(referring) == large
    for name, tensor in referring.items():
        place = {entry.key: entry.value for entry in tensor.external_data}
        start, length = int(place["offset"]), int(place["length"])
        assert place["location"] == "model.onnx"
        assert not tensor.raw_data
        assert stored[start : start + length] == whole[name].raw_data


def is_int8(tensor: TensorProto) -> bool:
    return tensor.data_type in (TensorProto.INT8, TensorProto.UINT8)


def test_the_bundle_answers_single_texts_with_it_as_with_the_mask(built: Path, tmp_path: Path) -> None:
    manifest = read_document(built)
    assert manifest["runtime"]["unpadded"] == UNPADDED
    model = edgebert.load(built)
    with_mask = onnxruntime.InferenceSession(str(built / "model.onnx"), providers=["CPUExecutionProvider"])
    for text in ("good film", "the story was dull and so very cold", "a"):
        ids = np.array([model.task.encode(text)[0].ids])
        wanted = with_mask.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        assert np.abs(model.raw([text])[0][0] - wanted).max() <= 1e-3
    (quantize,) = [stage for stage in manifest["stages"] if stage["stage"] == "quantize"]
    assert quantize["metrics"]["unpadded"]["texts"] == quantize["metrics"]["agreement"]["texts"]


def test_large_full_precision_weights_are_not_stored_twice(built: Path, tmp_path: Path) -> None:
    model = onnx.load(built / "model.onnx")
    assert write_unpadded(built / "model.onnx", tmp_path / UNPADDED)
    large = np.ones((1 << 10, (1 << 8) + 1), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(large, "large"))
    model.graph.node.append(onnx.helper.make_node("Shape", ["large"], ["size"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("size", TensorProto.INT64, [2]))
    onnx.save(model, tmp_path / "model.onnx")
    assert not write_unpadded(tmp_path / "model.onnx", tmp_path / UNPADDED)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_a_bundle_of_links_to_files_elsewhere_is_refused(built: Path, tmp_path: Path) -> None:
    for path in built.rglob("*"):
        if path.is_file():
            (tmp_path / path.relative_to(built)).parent.mkdir(exist_ok=True)
            (tmp_path / path.relative_to(built)).symlink_to(path)
    with pytest.raises(BundleError, match="a link that leads out of the bundle"):
        edgebert.load(tmp_path)
    assert not opened(built).batching.pads


@pytest.mark.parametrize("name", ["../other/unpadded.onnx", "", 7, ["unpadded.onnx"]])
def test_a_file_that_is_not_the_bundles_is_not_opened(bundle_copy: Path, name: object) -> None:
    manifest = json.loads((bundle_copy / "manifest.json").read_text())
    rewrite(bundle_copy, runtime={**manifest["runtime"], "unpadded": name})
    with pytest.raises(BundleError, match="damaged"):
        edgebert.load(bundle_copy)


def test_other_providers_open_the_graph_with_a_mask(built: Path) -> None:
    assert opened(built, ("AzureExecutionProvider", {})).batching.pads


def opened(folder: Path, provider: Provider | None = None) -> Session:
    return ONNXRUNTIME.open(opening_of(folder, read_manifest(folder), "onnxruntime", 1, provider=provider))


def test_a_graph_without_a_mask_that_is_further_off_than_int8_is_refused() -> None:
    right, int8 = outputs([1.0, -2.0]), outputs([1.02, -2.0])
    for near in (int8, outputs([1.03, -2.01])):
        require_same(right, int8, near)
    for far in (outputs([1.05, -2.0]), outputs([float("nan"), -2.0])):
        with pytest.raises(ParityError, match="graph without a mask"):
            require_same(right, int8, far)
    with pytest.raises(ParityError):
        require_same(right, right, int8)


def outputs(values: list[float]) -> list[Outputs]:
    return [(np.array(values, np.float32),)]


def test_padding_is_refused_not_read(built: Path) -> None:
    session = UnpaddedSession(built / UNPADDED, 1, CPU)
    ids = np.array([[2, 7, 3], [2, 3, 0]])
    with pytest.raises(ValueError, match="equal token counts"):
        session.run({"input_ids": ids, "attention_mask": (ids > 0).astype(np.int64)})


def test_without_the_graph_that_holds_the_weights_it_is_told(bundle_copy: Path) -> None:
    (bundle_copy / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx"):
        edgebert.load(bundle_copy)
