"""Bundles from untrusted sources: one line says what is wrong, and no file outside is read."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manifests import SATURATES, rewrite, small_bundle
from tokenizers import Tokenizer

import edgebert
from edgebert.bundle import write_manifest
from edgebert.cli import main
from edgebert.errors import BundleError, TextError
from edgebert.runtime.encode import TextEncoder

pytestmark = SATURATES
ROWS = "text\tlabel\na good film\tpos\nan awful play\tneg\n"
Damage = Callable[[Path], object]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return small_bundle(tmp_path / "bundle")


def manifest_of(bundle: Path) -> Any:
    return json.loads((bundle / "manifest.json").read_text())


def refused(bundle: Path) -> str:
    with pytest.raises(BundleError) as caught:
        edgebert.load(bundle)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "fact"),
    [
        ({"labels": ["a", "b", "c"], "data": {"label_values": []}}, "has 3 label(s) for logits, but the graph has 2"),
        ({"labels": ["a"], "data": {"label_values": []}}, "has 1 label(s) for logits, but the graph has 2 columns"),
        ({"labels": [], "data": {"label_values": []}}, "has 0 label(s) for logits"),
        ({"inputs": ["input_ids", "attention_mask", "token_type_ids"]}, "the graph's are input_ids, attention_mask"),
        ({"outputs": ["scores"]}, "outputs are not those of text-classification: logits"),
        ({"task": "token-classification"}, "the tags lack 'O'"),
        ({"task": "multi-label", "data": {"metric": "micro_f1"}}, "head.thresholds has 0 entries for 2 labels"),
        ({"task": "regression", "data": {"metric": "pearson"}}, "regression has 1 label(s) for logits, but the graph"),
        ({"task": "summarization"}, "task 'summarization' is not known"),
        ({"task": "../tasks"}, "is not known"),
        ({"max_length": 2}, "max_length is 2, but the tokenizer's special tokens need 3"),
        ({"segments": 2, "max_length": 4}, "special tokens need 5"),
        ({"pad_id": 5000}, "pad_id is 5000, but the tokenizer has"),
        ({"head": {"settings": {"stride": 3}}}, "unknown key 'head.settings.stride'"),
        ({"head": {"settings": {}, "thresholds": ["x"]}}, "'head.thresholds[0]' is 'x'"),
        ({"data": {"metric": "bleu"}}, "data.metric 'bleu' is not one of accuracy"),
    ],
)
def test_a_manifest_that_does_not_fit_its_task_tokenizer_or_graph_is_refused(
    changes: dict[str, Any], fact: str, bundle: Path
) -> None:
    if "data" in changes:
        changes = {**changes, "data": {**manifest_of(bundle)["data"], **changes["data"]}}
    rewrite(bundle, **changes)
    assert fact in refused(bundle)


def test_a_manifest_longer_than_the_graph_ends_in_a_message(bundle: Path) -> None:
    rewrite(bundle, max_length=64)
    model = edgebert.load(bundle)
    assert model("a good film").label in ("neg", "pos")
    with pytest.raises(BundleError, match="ONNX Runtime cannot run the bundle's graph"):
        model("film " * 60)


def replace_by(name: str, make: Damage) -> Damage:
    def damage(bundle: Path) -> None:
        (bundle / name).unlink()
        make(bundle / name)

    return damage


def link_out(bundle: Path) -> None:
    outside = bundle.with_name("outside.onnx")
    shutil.move(bundle / "model.onnx", outside)
    (bundle / "model.onnx").symlink_to(outside)


def link_folder_out(bundle: Path) -> None:
    """A folder in the bundle that is a link; the file's own name is ordinary."""
    outside = bundle.with_name("outside")
    outside.mkdir()
    shutil.move(bundle / "tokenizer_config.json", outside / "x.json")
    (bundle / "sub").symlink_to(outside)
    files = [
        {**entry, "path": "sub/x.json"} if entry["path"] == "tokenizer_config.json" else entry
        for entry in manifest_of(bundle)["files"]
    ]
    rewrite(bundle, files=files)


def climb_out(bundle: Path) -> None:
    shutil.move(bundle / "model.onnx", bundle.with_name("model.onnx"))
    manifest = manifest_of(bundle)
    files = [{**e, "path": "../model.onnx"} if e["path"] == "model.onnx" else e for e in manifest["files"]]
    graphs = {"default": "onnxruntime", "graphs": {"onnxruntime": "../model.onnx"}}
    rewrite(bundle, files=files, runtime=graphs)


def flip(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"segments": 1', '"segments": 2'))


DAMAGES: dict[str, tuple[Damage, str]] = {
    "pipe": (replace_by("tokenizer.json", os.mkfifo), "not a regular file"),
    "pipe-manifest": (replace_by("manifest.json", os.mkfifo), "not a regular file"),
    "folder": (replace_by("model.onnx", Path.mkdir), "not a regular file"),
    "folder-manifest": (replace_by("manifest.json", Path.mkdir), "manifest.json: "),
    "device": (replace_by("model.onnx", lambda path: path.symlink_to("/dev/zero")), "leads out of the bundle"),
    "device-manifest": (replace_by("manifest.json", lambda path: path.symlink_to("/dev/zero")), "leads out"),
    "loop": (replace_by("model.onnx", lambda path: path.symlink_to(path)), "model.onnx: "),
    "link-out": (link_out, "a link that leads out of the bundle"),
    "folder-link-out": (link_folder_out, "a link that leads out of the bundle"),
    "climb-out": (climb_out, "path '../model.onnx' has an empty part, or one that ends in a dot"),
    "truncated": (lambda bundle: os.truncate(bundle / "model.onnx", 9), "9 bytes, expected"),
    "missing": (lambda bundle: (bundle / "tokenizer.json").unlink(), "missing from the bundle"),
    "one-bit": (flip, "altered, its SHA-256 differs from the one in it"),
    "deep": (lambda bundle: (bundle / "manifest.json").write_text("[" * 9999), "nested more than 64 deep"),
    "escape": (lambda bundle: rewrite(bundle, precision=["\x1b[2J\n"]), r"'precision' is ['\x1b[2J\n']"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_command_says_what_is_wrong_in_one_line(
    damage: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    act, fact = DAMAGES[damage]
    act(bundle)
    (tmp_path / "rows.tsv").write_text(ROWS)
    rows = ["--data", str(tmp_path / "rows.tsv")]
    for command in (
        ["predict", str(bundle), "a good film"],
        ["inspect", str(bundle)],
        ["verify", str(bundle)],
        ["evaluate", str(bundle), *rows],
        ["bench", str(bundle), *rows, "--baseline", str(bundle), "--out", str(tmp_path / "out")],
    ):
        assert main(command) == 2
        *notes, line, end = capsys.readouterr().err.split("\n")
        assert line.startswith("edgebert: "), command
        assert line.isprintable()
        assert not end
        assert fact in line or damage == "loop"
        # What lies in the folder and is not the bundle's is named before.
        assert not notes or command[0] == "verify"
    assert not (tmp_path / "out").exists()


def test_a_link_to_another_file_of_the_bundle_is_followed(bundle: Path) -> None:
    answer = edgebert.load(bundle)("a good film")
    (bundle / "README.md").unlink()
    (bundle / "README.md").symlink_to("config.json")
    shutil.move(bundle / "model.onnx", bundle / "graph.bin")
    (bundle / "model.onnx").symlink_to("graph.bin")
    write_manifest(bundle, {key: value for key, value in manifest_of(bundle).items() if key != "files"})
    assert edgebert.load(bundle)("a good film") == answer


@pytest.mark.parametrize("name", ["manifest.json", "tokenizer.json", "model.onnx"])
def test_a_file_that_may_not_be_read_is_named(name: str, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of the operating system for users other than root."""
    real = os.open

    def guarded(path: Any, *rest: Any, **more: Any) -> int:
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", guarded)
    assert refused(bundle) == (
        f"{bundle / name}: cannot be read (Permission denied); make it readable or copy the bundle again"
    )


def test_a_baseline_that_is_a_link_out_of_the_bundle_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small_bundle(tmp_path / "elsewhere")
    (bundle / "baseline").symlink_to(tmp_path / "elsewhere")
    assert main(["bench", str(bundle), "--out", str(tmp_path / "out")]) == 2
    assert "baseline: a link that leads out of the bundle" in capsys.readouterr().err


def test_a_bundle_inside_a_bundle_is_held_to_the_same(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = small_bundle(bundle / "baseline")
    assert main(["verify", str(bundle)]) == 0
    climb_out(inner)
    capsys.readouterr()
    assert main(["verify", str(bundle)]) == 2
    assert f"{inner / 'manifest.json'}: damaged: files[" in capsys.readouterr().err


class Panic(BaseException):
    """pyo3's error for a panic in Rust code is not an Exception either."""


def test_a_tokenizer_that_panics_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(path: str) -> None:
        raise Panic("called `Option::unwrap()` on a `None` value\nnote: run with RUST_BACKTRACE=1")

    monkeypatch.setattr("edgebert.runtime.encode.Tokenizer.from_file", panic)
    assert refused(bundle) == (
        f"{bundle / 'tokenizer.json'}: not a tokenizer (called `Option::unwrap()` on a `None` value); "
        "export the bundle again"
    )


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_while_a_tokenizer_opens_stays_one(
    kind: type[BaseException], bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: str) -> None:
        raise kind

    monkeypatch.setattr("edgebert.runtime.encode.Tokenizer.from_file", interrupt)
    with pytest.raises(kind):
        edgebert.load(bundle)


def test_a_tokenizer_that_panics_at_every_text_is_refused_when_it_is_opened(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panicking:
        def __init__(self, whole: Any) -> None:
            self.whole = whole

        def __getattr__(self, name: str) -> Any:
            return getattr(self.whole, name)

        def encode(self, *texts: Any) -> None:
            raise Panic("index out of bounds")

    usual = Tokenizer.from_file
    monkeypatch.setattr("edgebert.runtime.encode.Tokenizer.from_file", lambda path: Panicking(usual(path)))
    told = refused(bundle)
    assert told.startswith(f"{bundle / 'tokenizer.json'}: damaged: cannot encode text (index out of bounds); export ")


def test_a_tokenizer_that_panics_at_a_text_is_told(bundle: Path) -> None:
    class Panicking:
        def no_truncation(self) -> None: ...

        def encode(self, *texts: Any) -> None:
            raise Panic("index out of bounds")

    encoder = TextEncoder(bundle / "tokenizer.json", 8)
    encoder._tokenizer = Panicking()
    with pytest.raises(TextError, match=r"tokenizer cannot encode the text \(index out of bounds\)"):
        encoder.encode("a")
