"""Any document in manifest.json is valid or gives one BundleError, and every changed bit is noticed."""

import contextlib
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from manifests import CONTENT, SATURATES, rewrite

import edgebert
from edgebert.bundle import write_manifest
from edgebert.errors import BundleError
from edgebert.manifest import SELF_HASH, path_fault, read_document, read_manifest, sealed

OLD = Path(__file__).parent / "old_bundles" / "format-1-minor-0"
ODD = [None, True, -1, 10**300, -1e308, "", "\n" * 1000, [], [[None]], {"": {}}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hand-made bundle with every optional entry of a manifest."""
    files = ("model.onnx", "unpadded.onnx", "openvino/model.xml", "openvino/model.bin", "tokenizer.json")
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    manifest = json.loads((OLD / "manifest.json").read_text())
    graphs = {"onnxruntime": "model.onnx", "openvino": "openvino/model.xml"}
    write_manifest(tmp_path, {**manifest, "runtime": {**manifest["runtime"], "graphs": graphs}})
    return tmp_path


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        read_manifest(folder)
    message = str(caught.value)
    assert message.startswith(str(folder))
    assert message.removeprefix(str(folder)).isprintable()
    assert len(message) < 500
    return message


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys of every value in a document; of a list, two entries."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    whole = dict(document) if isinstance(document, dict) else list(document)
    whole[key] = with_value(document[key], tuple(rest), value)
    return whole


def test_every_value_replaced_by_any_other_kind_is_read_or_refused(folder: Path) -> None:
    """About 1,500 manifests with valid hashes, so that errors must be found in the values."""
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest[SELF_HASH]
    manifest["head"] |= {"width": 8, "thresholds": [0.5], "tags": ["O"], "modules": ["dense"]}
    for path in filter(None, places(manifest)):
        for odd in ODD:
            changed = with_value(manifest, path, odd)
            (folder / "manifest.json").write_text(json.dumps(sealed(changed)))
            with contextlib.suppress(BundleError):
                read_document(folder)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("[" * 100_000, "nested more than 64 deep"),
        ('{"a":' * 100_000, "nested more than 64 deep"),
        ("[" * 70 + "]" * 70, "nested more than 64 deep"),
        ('{"a": NaN}', "NaN is not a JSON number"),
        ('{"a": [-Infinity]}', "-Infinity is not a JSON number"),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": ' + "9" * 5000 + "}", "has 5000 digits"),
        ('{"a": ' + "9" * 309 + "}", "is too large"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "key 'c' occurs twice in one object"),
        ('{"a": "\\ud800"}', "the lone surrogate '\\ud800' is not valid Unicode"),
        ('{"\\ud800": 1}', "the lone surrogate"),
        ("", "damaged ("),
        ("\x00", "damaged ("),
        ("null", "not an EdgeBERT manifest"),
    ],
)
def test_a_document_that_no_reader_can_work_with_is_refused(text: str, fact: str, folder: Path) -> None:
    (folder / "manifest.json").write_text(text)
    assert fact in refused(folder)


def test_a_manifest_of_many_megabytes_is_refused(folder: Path) -> None:
    (folder / "manifest.json").write_text(" " * ((8 << 20) + 1))
    assert "larger than 8 MB" in refused(folder)


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda m: {"labels": ["a", "a"]}, "labels holds 'a' twice"),
        (lambda m: {"inputs": ["input_ids"]}, "inputs lacks attention_mask"),
        (lambda m: {"inputs": [*m["inputs"], "pixels"]}, "'inputs[2]' is 'pixels'; expected one of"),
        (lambda m: {"segments": 3}, "'segments' is 3; expected a value between 1 and 2"),
        (lambda m: {"max_length": 1 << 60}, "'max_length' is 1152921504606846976; expected"),
        (lambda m: {"max_length": 10**100}, "'max_length' is a number of more than 19 digits"),
        (lambda m: {"max_length": True}, "'max_length' is True; expected a int"),
        (lambda m: {"pad_id": -1}, "'pad_id' is -1"),
        (lambda m: {"data": {**m["data"], "label_values": ["one"]}}, "data.label_values has 1 entries for 2 labels"),
        (lambda m: {"runtime": {**m["runtime"], "default": "other"}}, "'runtime.default' is 'other'"),
        (lambda m: {"runtime": {**m["runtime"], "graphs": {}}}, "default is 'onnxruntime', but graphs has none for it"),
        (lambda m: {"runtime": {**m["runtime"], "unpadded": "README.md"}}, "files does not list 'README.md'"),
        (lambda m: {"files": m["files"][1:]}, "which is opened"),
        (lambda m: {"files": [*m["files"], m["files"][0]]}, "files holds 'model.onnx' twice"),
        (lambda m: {"files": [e for e in m["files"] if e["path"] != "tokenizer.json"]}, "list 'tokenizer.json'"),
        (lambda m: {"files": [e for e in m["files"] if e["path"] != "openvino/model.bin"]}, "'openvino/model.bin'"),
        (lambda m: {"cost": [{**m["cost"][0], "rows": "many"}]}, "'cost[0].rows' is 'many'; expected a int"),
        (lambda m: {"metrics": {"te\nst": {}}}, "'metrics.te\\nst.metric'"),
        (lambda m: {"name": " "}, "name is ' '; expected a text that is not blank"),
        (lambda m: {"precision": ""}, "precision is ''"),
        (lambda m: {"base_model": {**m["base_model"], "sha256": "0" * 63}}, "base_model: sha256 is '000"),
        (lambda m: {"stages": [{**m["stages"][0], "stage": ""}]}, "stages[0]: stage is ''"),
        (lambda m: {"head": {**m["head"], "width": 0}}, "'head.width' is 0; expected a value between 1 and"),
        *[
            (lambda m, entry=entry: {"data": {**m["data"], **entry}}, fact)
            for entry, fact in (
                ({"columns": {"text": ""}}, "data: columns: text is ''; expected the name of the column"),
                ({"columns": {"label": "text"}}, "data: columns: label is 'text', the column of a text"),
                ({"columns": {"text_pair": "label"}}, "data: columns: label is 'label', the column of a text"),
                ({"columns": {"quotes": "odd"}}, "'data.columns.quotes' is 'odd'; expected one of"),
                ({"label_values": ["a", "a"]}, "data: label_values holds 'a' twice"),
                ({"files": {}}, "'data.files' is {}; expected a list"),
                ({"files": [{"split": "", "file": "a", "sha256": "0" * 64}]}, "data.files[0]: split is ''"),
                ({"files": [{"split": "train", "file": "a", "sha256": "x"}]}, "data.files[0]: sha256 is 'x'"),
                ({"files": [{"split": "t", "file": "a", "sha256": "0" * 64, "rows": -1}]}, "rows' is -1; expected"),
            )
        ],
        *[
            (lambda m, entry=entry: {"metrics": {"test": {**m["metrics"]["test"], **entry}}}, fact)
            for entry, fact in (
                ({"metric": ""}, "metrics.test: metric is ''"),
                ({"value": None}, "metrics.test: value is null, and lacks does not say why"),
                ({"ci_low": None}, "ci_low is None and ci_high 0.75; expected two numbers, or two nulls"),
                ({"ci_low": 0.9}, "ci_low is 0.9, above ci_high, 0.75"),
                ({"n": 0}, "'metrics.test.n' is 0; expected a value between 1 and"),
                ({"cut": 17}, "cut is 17; expected at most n, 16"),
                ({"unknown_labels": {"rows": 17, "more": 0}}, "unknown_labels.rows is 17; expected at most n, 16"),
                ({"unknown_labels": {"rows": 1, "more": 0, "labels": {"a": -1}}}, "labels has -1 rows with 'a'"),
            )
        ],
    ],
)
def test_values_that_do_not_fit_are_named(change: Callable[[Any], Any], fact: str, folder: Path) -> None:
    rewrite(folder, **change(json.loads((folder / "manifest.json").read_text())))
    message = refused(folder)
    assert message.startswith(f"{folder / 'manifest.json'}: damaged: ")
    assert fact in message
    assert message.endswith("export the bundle again or copy it again")


def test_a_manifest_without_a_width_is_read(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, head={**manifest["head"], "width": None})
    assert read_manifest(folder).head.width is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/etc/passwd", "../x", "a/../../x", "a/..", "..", ".", "./a", "a//b", "a/", "a\\b", "..\\x", "C:/x"),
        *("C:x", "//host/x", "a\0b", "a\nb", "a\x1b[2Jb", ".. /x", "a./b", "a /b", "x:stream"),
    ],
)
def test_a_path_that_is_not_below_the_bundle_is_refused(path: str, folder: Path) -> None:
    assert path_fault(path)
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, files=[*manifest["files"], {"path": path, "bytes": 1, "sha256": "0" * 64}])
    assert f"files[5]: path {path!r}" in refused(folder)


def test_a_size_that_no_bundle_has_is_refused_before_anything_is_hashed(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, files=[*manifest["files"], {"path": "large", "bytes": 1 << 40, "sha256": "0" * 64}])
    assert "files[5].bytes" in refused(folder)


@pytest.mark.parametrize("path", ["a", "a/b.onnx", ".hidden", "..a", "a..b", "größe.txt", "a b", "openvino/model.xml"])
def test_a_plain_relative_path_is_taken(path: str) -> None:
    assert not path_fault(path)


def test_no_single_changed_bit_of_a_manifest_is_overlooked(folder: Path) -> None:
    """It is refused, or the document is equal, because the double does not change with this digit."""
    path = folder / "manifest.json"
    before = path.read_bytes()
    document, random_ = read_document(folder), random.Random(0)
    refusals = 0
    for place in random_.sample(range(len(before) * 8), 1500):
        after = bytearray(before)
        after[place // 8] ^= 1 << place % 8
        path.write_bytes(after)
        try:
            assert read_document(folder) == document
        except BundleError:
            refusals += 1
    assert refusals >= 1490


def test_the_hash_of_a_manifest_cannot_get_lost(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest[SELF_HASH]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert "altered, it lacks manifest_sha256" in refused(folder)


def test_a_manifest_may_be_written_in_another_form(folder: Path) -> None:
    """White space, the order of keys and escapes do not change the hash."""
    manifest = read_document(folder)
    (folder / "manifest.json").write_text(json.dumps(dict(reversed(manifest.items()))))
    assert read_document(folder) == manifest


def test_a_figure_without_an_interval_and_every_dialect_of_a_table_are_read(folder: Path) -> None:
    few = {"metric": "accuracy", "value": 1.0, "ci_low": None, "ci_high": None, "n": 4}
    columns = {"text": "t", "text_pair": "", "label": "y", "delimiter": "semicolon", "quotes": "single"}
    rewrite(folder, metrics={"test": few}, data={"columns": columns, "metric": ""})
    assert read_manifest(folder).metrics["test"].ci_low is None
    rewrite(folder, data={"columns": {**columns, "delimiter": "colon"}, "metric": ""})
    assert "'data.columns.delimiter' is 'colon'" in refused(folder)


def test_entries_of_a_later_minor_version_are_kept(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    rewrite(folder, profile={**manifest["profile"], "colour": "blue"}, weather={"today": "fine"})
    assert read_manifest(folder).profile.export.provider
    assert read_document(folder)["weather"] == {"today": "fine"}


def test_a_figure_that_is_not_finite_is_never_written(folder: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_manifest(folder, {**CONTENT, "metrics": {"test": {"value": float("nan")}}})


@SATURATES
def test_a_bundle_from_before_manifests_were_hashed_still_answers(tmp_path: Path) -> None:
    assert SELF_HASH not in read_document(OLD)
    answer = edgebert.load(OLD)("a good film")
    assert set(answer.scores) == {"neg", "pos"}
    copy = Path(shutil.copytree(OLD, tmp_path / "copy"))
    (copy / "manifest.json").write_text((OLD / "manifest.json").read_text().replace('[\n    "neg"', '[3,\n    "neg"'))
    assert "'labels[0]' is 3; expected a str" in refused(copy)
