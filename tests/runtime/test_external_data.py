"""Weights outside the graph's file: only those in the bundle's list are read, in every version of ONNX Runtime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from manifests import manifest_of, rewrite, small_bundle
from onnx import TensorProto, helper

import edgebert
from edgebert.bundle import list_files
from edgebert.errors import BundleError
from edgebert.runtime.external_data import check_external_data, check_ir, external_files


def tensor(location: str, name: str = "w") -> onnx.TensorProto:
    found = helper.make_tensor(name, TensorProto.FLOAT, [2], [0.0, 0.0])
    found.ClearField("float_data")
    found.data_location = TensorProto.EXTERNAL
    for key, value in (("offset", "0"), ("location", location), ("length", "8")):
        entry = found.external_data.add()
        entry.key, entry.value = key, value
    return found


def graph(nodes: list[Any], tensors: list[onnx.TensorProto]) -> onnx.GraphProto:
    value = helper.make_tensor_value_info
    return helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, [2])], [value("y", TensorProto.FLOAT, [2])], tensors
    )


def add(*more: Any) -> onnx.NodeProto:
    return helper.make_node("Add", ["x", "w"], ["y"], **dict(more))


def models(location: str) -> dict[str, onnx.ModelProto]:
    """A tensor in an external file, at every location where a graph may have one."""
    inner = graph([add()], [tensor(location)])
    branches = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=graph([add()], []))
    constant = helper.make_node("Constant", [], ["w"], value=tensor(location))
    sparse = helper.make_sparse_tensor(tensor(location), helper.make_tensor("i", TensorProto.INT64, [2], [0, 1]), [2])
    with_sparse = graph([add()], [])
    with_sparse.sparse_initializer.append(sparse)
    function = helper.make_function("own", "F", ["x"], ["y"], [constant, add()], [helper.make_opsetid("", 17)])
    return {
        "initializer": helper.make_model(graph([add()], [tensor(location)])),
        "branch": helper.make_model(graph([branches], [])),
        "constant": helper.make_model(graph([constant, add()], [])),
        "sparse": helper.make_model(with_sparse),
        "function": helper.make_model(graph([add()], []), functions=[function]),
    }


@pytest.mark.parametrize("kind", models("x"))
def test_every_external_file_of_a_graph_is_found(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(models("../secret.bin")[kind].SerializeToString())
    assert external_files(path) == ["../secret.bin"]


def test_a_graph_that_holds_its_weights_has_none(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    own = helper.make_tensor("location", TensorProto.FLOAT, [2], [0.0, 1.0])
    onnx.save(helper.make_model(graph([add()], [own])), path)
    assert external_files(path) == []
    path.write_bytes(b"")
    assert external_files(path) == []


@pytest.mark.parametrize("name", ["../w.bin", "w.bin", "ABSOLUTE", "sub/../../w.bin", "listed.bin"])
def test_weights_that_the_bundle_does_not_list_are_refused(name: str, tmp_path: Path) -> None:
    name = str(tmp_path / "w.bin") if name == "ABSOLUTE" else name
    folder = tmp_path / "bundle"
    folder.mkdir()
    np.ones(2, np.float32).tofile(tmp_path / "w.bin")
    (folder / "m.onnx").write_bytes(models(name)["initializer"].SerializeToString())
    names = ("tokenizer.json", "model.onnx", "m.onnx", "listed.bin")
    manifest = manifest_of(files=[{"path": each, "sha256": 64 * "0", "bytes": 1} for each in names])
    if name == "listed.bin":
        check_external_data(folder, folder / "m.onnx", manifest)
        return
    with pytest.raises(BundleError, match="which the bundle does not list"):
        check_external_data(folder, folder / "m.onnx", manifest)


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_graph_that_breaks_off_is_refused(cut: int, tmp_path: Path) -> None:
    data = models("w.bin")["initializer"].SerializeToString()
    (tmp_path / "m.onnx").write_bytes(data[:-cut])
    with pytest.raises(BundleError, match="not an ONNX graph"):
        check_external_data(tmp_path, tmp_path / "m.onnx", manifest_of())


def test_a_graph_nested_deeper_than_protobuf_reads_is_refused_at_once(tmp_path: Path) -> None:
    inner, whole = graph([add()], [tensor("w.bin")]), tmp_path / "m.onnx"
    for _ in range(24):
        inner = graph([helper.make_node("If", ["x"], ["y"], then_branch=inner)], [])
    whole.write_bytes(helper.make_model(inner).SerializeToString())
    assert external_files(whole) == ["w.bin"]
    inside = b"location"
    for field in (*(6, 5, 1) * 200, 7):  # the graph of an attribute of a node of a graph, and of the model
        size = len(inside)
        inside = bytes([field << 3 | 2, size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + inside
    whole.write_bytes(inside)
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        external_files(whole)


def test_a_bundle_whose_second_graph_takes_weights_from_outside_is_not_opened(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    (tmp_path / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    path = bundle / "unpadded.onnx"
    whole = onnx.load(path, load_external_data=False)
    for each in whole.graph.initializer:
        for entry in each.external_data:
            if entry.key == "location":
                entry.value = "../model.onnx"
    path.write_bytes(whole.SerializeToString())
    from edgebert.bundle import write_manifest

    write_manifest(bundle, json.loads((bundle / "manifest.json").read_text()))
    with pytest.raises(BundleError, match=r"reads weights from '\.\./model\.onnx', which the bundle does not list"):
        edgebert.load(bundle)


def test_an_onnx_graph_in_the_place_of_an_openvino_one_is_not_opened(tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle")
    (bundle / "model.xml").write_bytes(models("u.bin")["initializer"].SerializeToString())
    (bundle / "model.bin").write_bytes(b"")
    (bundle / "u.bin").write_bytes(b"\0" * 8)
    files = [entry for entry in list_files(bundle) if entry["path"] != "u.bin"]
    rewrite(bundle, files=files, runtime={"default": "openvino", "graphs": {"openvino": "model.xml"}})
    with pytest.raises(BundleError, match=r"model\.xml: not an OpenVINO IR file, .*export the bundle again"):
        edgebert.load(bundle)


@pytest.mark.parametrize(("mark", "fits"), [(b"", True), (b"\xef\xbb\xbf", True), (b"\n\x05", False), (b" ", False)])
@pytest.mark.parametrize("beginning", [b"<?xml", b"<net"])
def test_only_xml_at_the_very_beginning_is_openvino_ir(
    mark: bytes, fits: bool, beginning: bytes, tmp_path: Path
) -> None:
    (tmp_path / "m.xml").write_bytes(mark + beginning + b' name="a" version="11"/>')
    if fits:
        check_ir(tmp_path / "m.xml")
        return
    with pytest.raises(BundleError, match="does not begin with"):
        check_ir(tmp_path / "m.xml")
