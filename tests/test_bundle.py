"""The format of a bundle: manifest and files, their checks, and atomic replacement of the folder."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from manifests import CONTENT, rewrite

from edgebert.bundle import (
    bundle_hash,
    check_files,
    check_folder,
    check_writable,
    read_document,
    read_manifest,
    replacing,
    restore,
    write_manifest,
)
from edgebert.cli import main
from edgebert.errors import BundleError, DiskError
from edgebert.leftovers import MARKER
from edgebert.manifest import REQUIRED

KEYS = [
    "format",
    "format_version",
    "format_minor",
    "edgebert",
    "name",
    "task",
    "labels",
    "inputs",
    "outputs",
    "segments",
    "max_length",
    "pad_id",
    "head",
    "precision",
    "runtime",
    "profile",
    "layers",
    "cost",
    "stages",
    "metrics",
    "measured_on",
    "data",
    "tools",
    "base_model",
    "files",
    "manifest_sha256",
]

FILES = {"model.onnx": b"graph", "openvino/model.bin": b"weights", "README.md": b"card", "tokenizer.json": b"{}"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle made by hand, with a nested baseline."""
    root = tmp_path / "mine"
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "baseline" / "deep").mkdir(parents=True)
    for name in ("deep/x.txt", "model.onnx", "tokenizer.json"):
        (root / "baseline" / name).write_bytes(b"fp32")
    write_manifest(root / "baseline", CONTENT)
    write_manifest(root, CONTENT)
    return root


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        check_files(folder, read_manifest(folder))
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_manifest_comes_back_as_it_was_written(folder: Path) -> None:
    manifest = read_document(folder)
    assert {key: manifest[key] for key in CONTENT} == CONTENT
    assert (manifest["format"], manifest["format_version"]) == ("edgebert-bundle", 1)
    check_files(folder, read_manifest(folder))


def test_files_are_listed_with_hash_and_size_but_not_the_nested_bundle(folder: Path) -> None:
    files = {entry["path"]: (entry["sha256"], entry["bytes"]) for entry in read_document(folder)["files"]}
    assert files == {
        "README.md": (hashlib.sha256(b"card").hexdigest(), 4),
        "model.onnx": (hashlib.sha256(b"graph").hexdigest(), 5),
        "openvino/model.bin": (hashlib.sha256(b"weights").hexdigest(), 7),
        "tokenizer.json": (hashlib.sha256(b"{}").hexdigest(), 2),
    }


def test_the_bundles_hash_changes_with_any_file(folder: Path) -> None:
    before = bundle_hash(folder)
    (folder / "model.onnx").write_bytes(b"Graph")
    write_manifest(folder, CONTENT)
    assert bundle_hash(folder) != before
    (folder / "model.onnx").write_bytes(b"graph")
    write_manifest(folder, CONTENT)
    assert bundle_hash(folder) == before


def test_the_real_manifest_has_the_contracts_keys(built: Path) -> None:
    for place in (built, built.with_name(built.name + ".stages") / "0-baseline"):
        manifest = read_document(place)
        assert list(manifest) == KEYS
        assert set(REQUIRED) <= set(manifest)
        check_files(place, read_manifest(place))


@pytest.mark.parametrize(
    ("name", "data", "fact"),
    [
        ("model.onnx", None, "missing from the bundle"),
        ("model.onnx", b"gra", "3 bytes, expected 5; truncated or altered"),
        ("model.onnx", b"grapH", "altered, its SHA-256 is not the manifest's"),
        ("openvino/model.bin", b"", "0 bytes, expected 7; truncated or altered"),
    ],
)
def test_a_damaged_file_is_named(name: str, data: bytes | None, fact: str, folder: Path) -> None:
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    assert refused(folder).startswith(f"{folder / name}: {fact}")


def test_without_hashes_sizes_are_still_checked(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"grapH")
    check_files(folder, read_manifest(folder), hashes=False)
    (folder / "model.onnx").write_bytes(b"grap")
    with pytest.raises(BundleError, match="4 bytes, expected 5"):
        check_files(folder, read_manifest(folder), hashes=False)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (b"{", "damaged ("),
        (b"", "damaged ("),
        (b"\xff\xfe", "damaged ("),
        (b"[]", "not an EdgeBERT manifest"),
        (b'{"format": "other"}', "not an EdgeBERT manifest"),
        (b'{"format": "edgebert-bundle", "format_version": 2}', "format version 2; this EdgeBERT reads version 1"),
        (b'{"format": "edgebert-bundle"}', "format version None; this EdgeBERT reads version 1"),
        (b'{"format": "edgebert-bundle", "format_version": 1, "name": "x"}', "damaged, no task, labels, "),
    ],
)
def test_a_damaged_manifest_is_named(text: bytes, fact: str, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(text)
    assert refused(folder).startswith(f"{folder / 'manifest.json'}: {fact}")


@pytest.mark.parametrize("files", [None, "model.onnx", [{"path": "model.onnx"}]])
def test_a_manifest_with_a_wrong_file_list_is_damaged(files: Any, folder: Path) -> None:
    rewrite(folder, files=files)
    assert refused(folder).startswith(f"{folder / 'manifest.json'}: damaged")


@pytest.mark.parametrize(
    ("make", "fact"),
    [
        (lambda path: None, "there is no such folder; "),
        (Path.mkdir, ""),
        (lambda path: path.write_text("x"), "it is a file; "),
    ],
)
def test_what_is_no_bundle_is_told(make: Any, fact: str, tmp_path: Path) -> None:
    make(tmp_path / "no")
    assert refused(tmp_path / "no") == (
        f"{tmp_path / 'no'}: no manifest.json; {fact}give the folder that `edgebert export` wrote"
    )


def write_new(place: Path, error: BaseException | None = None) -> None:
    with replacing(place) as temporary:
        (temporary / "new.txt").write_text("new")
        if error:
            raise error


def test_replacing_puts_the_new_folder_in_place_of_the_old_bundle(folder: Path, tmp_path: Path) -> None:
    write_new(folder)
    write_new(tmp_path / "deep" / "fresh")
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "mine"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["fresh"]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ValueError("bad"), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), DiskError),
        (OSError(errno.EDQUOT, "Quota exceeded"), DiskError),
        (OSError(errno.EROFS, "Read-only file system"), DiskError),
    ],
)
def test_a_block_that_fails_leaves_what_stood_there(
    error: BaseException, raised: type[BaseException], folder: Path, tmp_path: Path
) -> None:
    before = bundle_hash(folder)
    with pytest.raises(raised) as caught:
        write_new(folder, error)
    assert bundle_hash(folder) == before
    check_files(folder, read_manifest(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    if isinstance(caught.value, DiskError):
        assert caught.value.exit_code == 2
        assert str(caught.value).startswith(f"{folder}: ")
        assert "--out" in str(caught.value)


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="no space left on the disk"):
        write_new(tmp_path / "x", OSError(errno.ENOSPC, "No space left on device"))


@pytest.mark.parametrize("act", [write_new, check_writable, check_folder])
def test_a_parent_that_is_a_file_is_told(act: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match="cannot be written") as caught:
        act(tmp_path / "file" / "bundle")
    assert caught.value.exit_code == 2
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_device_or_pipe_is_no_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DiskError, match="pipe: a device, pipe or socket, not a folder; give another --work"):
        check_folder(tmp_path / "pipe", "--work")
    with pytest.raises(DiskError, match="null: a device, pipe or socket, not a folder; give another --out"):
        check_folder(Path("/dev/null"))


@pytest.mark.parametrize("sign", [MARKER, "manifest.json", ""])
def test_what_a_killed_run_left_is_cleared_away(sign: str, folder: Path, tmp_path: Path) -> None:
    for left in (".mine.partial", ".mine.old"):
        (tmp_path / left).mkdir()
        if sign:
            (tmp_path / left / "left.txt").write_text("left")
            (tmp_path / left / sign).write_text('{"format": "edgebert-bundle"}')
    write_new(folder)
    assert [path.name for path in folder.iterdir()] == ["new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_bundle_that_a_killed_run_moved_aside_comes_back(folder: Path, tmp_path: Path) -> None:
    before = bundle_hash(folder)
    folder.rename(tmp_path / ".mine.old")
    (tmp_path / ".mine.partial").mkdir()
    restore(folder)
    assert bundle_hash(folder) == before
    write_new(folder)
    (tmp_path / ".mine.old").mkdir()
    restore(folder)
    assert [path.name for path in folder.iterdir()] == ["new.txt"]


def test_a_link_where_a_bundle_would_have_been_moved_aside_is_not_put_back(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".new.old").symlink_to(folder)
    restore(tmp_path / "new")
    assert not os.path.lexists(tmp_path / "new")


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_out_that_is_not_a_bundle_is_refused_before_any_work(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replacing the folder would delete the user's files in it."""
    pytest.importorskip("torch")
    place = tmp_path / "precious"
    mine = place / "mine.txt" if kind == "folder" else place
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("keep")
    recipe = tmp_path / "x.toml"
    recipe.write_text('name = "x"\ntask = "text-classification"\n[model]\nsource = "no-such-folder"\n')
    assert main(["export", str(recipe), "--out", str(place), "--work", str(tmp_path / "work")]) == 2
    assert f"edgebert: {place}: " in capsys.readouterr().err
    assert mine.read_text() == "keep"
