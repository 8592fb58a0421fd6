"""`edgebert inspect` and `edgebert verify`: the contents of a bundle, and whether it is complete."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
from manifests import rewrite

from edgebert.cli import main
from edgebert.errors import BundleError


def test_inspect_and_verify_tell_the_same_hash(built: Path, manifest: dict[str, Any], run: Run) -> None:
    _, inspected, _ = run("inspect", built, "--json")
    _, verified, _ = run("verify", built, "--json")
    assert json.loads(verified)["hash"] == json.loads(inspected)["bundle_hash"]
    assert {key: json.loads(inspected)[key] for key in manifest} == manifest
    code, page, err = run("inspect", built)
    assert (code, err) == (0, "")
    for shown in ("tiny", "text-classification, 2 labels: neg, pos", "int8-dynamic", json.loads(verified)["hash"]):
        assert shown in page
    assert all(entry["path"] in page for entry in manifest["files"])
    assert f"{len(manifest['files'])} files complete and unaltered" in run("verify", built)[1]


@pytest.mark.parametrize("command", ["predict", "verify", "bench"])
def test_a_damaged_bundle_is_one_line(command: str, bundle_copy: Path, built: Path, run: Run) -> None:
    model = bundle_copy / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    baseline = str(built.with_name(built.name + ".stages") / "0-baseline")
    arguments = [command, str(bundle_copy), *(["--baseline", baseline] if command == "bench" else [])]
    assert refused(run(*arguments)).startswith(f"{model}: altered")
    with pytest.raises(BundleError):
        main([*arguments, "--debug"])


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="makes folders below an open one")
def test_folders_nested_too_deep_are_the_bundles_fault(bundle_copy: Path, run: Run) -> None:
    place = os.open(bundle_copy, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=place)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = inner
    os.close(place)
    told = refused(run("verify", bundle_copy))
    assert told.startswith(f"{bundle_copy}: has a path that is too long to read; remove ")


def test_verify_reads_the_baseline_inside_too(bundle_copy: Path, built: Path, run: Run) -> None:
    inside = Path(shutil.copytree(built.with_name(built.name + ".stages") / "0-baseline", bundle_copy / "baseline"))
    count = sum(len(json.loads((each / "manifest.json").read_text())["files"]) for each in (bundle_copy, inside))
    assert f"{count} files complete and unaltered" in run("verify", bundle_copy)[1]
    (inside / "model.onnx").write_bytes(b"")
    assert refused(run("verify", bundle_copy)).startswith(f"{inside / 'model.onnx'}: 0 bytes, expected")


def test_an_altered_manifest_is_found_by_the_hash(bundle_copy: Path, run: Run) -> None:
    expected = json.loads(run("verify", bundle_copy, "--json")[1])["hash"]
    assert run("verify", bundle_copy, "--hash", expected[:16].upper())[0] == 0
    rewrite(bundle_copy, name="tony")
    code, out, err = run("verify", bundle_copy, "--hash", expected[:16], "--json")
    assert (code, json.loads(out)["whole"]) == (2, False)
    assert f"expected {expected[:16]}; it is another bundle, or its manifest was altered" in err
    assert "expected 8 to 64 hexadecimal digits" in refused(run("verify", bundle_copy, "--hash", "0xff"))


def test_a_file_that_is_not_the_bundles_is_told(bundle_copy: Path, built: Path, run: Run) -> None:
    shutil.copytree(built.with_name(built.name + ".stages") / "0-baseline", bundle_copy / "baseline")
    assert run("verify", bundle_copy)[2] == ""
    (bundle_copy / "baseline" / "extra.bin").write_bytes(b"x")
    code, out, err = run("verify", bundle_copy, "--json")
    assert (code, json.loads(out)["strangers"]) == (0, [str(bundle_copy / "baseline" / "extra.bin")])
    extra = bundle_copy / "baseline" / "extra.bin"
    assert err == f"edgebert: {extra}: not listed in the manifest; remove it if it is not yours\n"


def test_verify_tells_every_damaged_file(bundle_copy: Path, run: Run) -> None:
    model, tokenizer = bundle_copy / "model.onnx", bundle_copy / "tokenizer.json"
    model.write_bytes(model.read_bytes()[:-1])
    tokenizer.unlink()
    code, out, err = run("verify", bundle_copy, "--json")
    assert code == 2
    assert json.loads(out)["whole"] is False
    assert len(json.loads(out)["damages"]) == len(err.splitlines()) == 2
    assert f"{tokenizer}: missing from the bundle" in err
    assert f"{model}: {model.stat().st_size} bytes, expected {model.stat().st_size + 1}" in err


def test_inspect_tells_files_that_are_not_there_or_not_whole(bundle_copy: Path, run: Run) -> None:
    model, tokenizer = bundle_copy / "model.onnx", bundle_copy / "tokenizer.json"
    model.write_bytes(model.read_bytes()[:-1])
    tokenizer.unlink()
    code, page, err = run("inspect", bundle_copy)
    assert code == 2
    assert "text-classification, 2 labels" in page
    size = model.stat().st_size
    assert err.splitlines() == [
        f"edgebert: {model}: {size} bytes, expected {size + 1}; truncated or altered, copy it again",
        f"edgebert: {tokenizer}: missing from the bundle; copy the whole folder again",
    ]
    code, out, told = run("inspect", bundle_copy, "--json")
    assert (code, told) == (2, err)
    assert [f"edgebert: {damage}" for damage in json.loads(out)["damages"]] == err.splitlines()


def test_what_takes_reading_files_whole_is_left_to_verify(bundle_copy: Path, run: Run) -> None:
    model = bundle_copy / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    code, out, _ = run("inspect", bundle_copy, "--json")
    assert (code, json.loads(out)["damages"]) == (0, [])
