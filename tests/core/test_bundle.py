"""An opened bundle whose runtime is the native core: missing library, threads, copies, bad input, and every command."""

from __future__ import annotations

import copy
import json
import pickle
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import SATURATES, rewrite

import edgebert
from edgebert.bundle import read_document, write_manifest
from edgebert.cli import main
from edgebert.errors import BundleError, InputError, MissingDependencyError, TextError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.sessions import core
from edgebert.runtime.sessions.core import kernel_names, unusable

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(unusable()), reason=unusable())]

Export = Callable[..., tuple[int, Path]]
TEXTS = ["a good film", "the story was awful and cold", "warm meal and lovely play", "so dull", "very " * 20 + "fine"]


@pytest.fixture
def copied(core_bundle: Path, tmp_path: Path) -> Path:
    """A bundle of your own to damage."""
    return Path(shutil.copytree(core_bundle, tmp_path / "bundle"))


@pytest.fixture
def alone(copied: Path) -> Path:
    """A bundle with the core's graph alone."""
    for graph in copied.glob("*.onnx"):
        graph.unlink()
    write_manifest(copied, {**read_document(copied), "runtime": {"default": "core", "graphs": {"core": "core.bin"}}})
    return copied


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(core, "LIBRARY", tmp_path / "no-library.so")
    core.library.cache_clear()
    yield
    core.library.cache_clear()


@pytest.mark.usefixtures("no_library")
@SATURATES
def test_without_the_library_the_other_runtime_answers_and_one_warning_says_so(copied: Path) -> None:
    with pytest.warns(edgebert.FallbackWarning, match=r"no-library\.so.*onnxruntime runs it instead") as warned:
        model = edgebert.load(copied)
    (fallback,) = (each for each in warned if each.category is edgebert.FallbackWarning)
    assert fallback.filename == __file__
    assert model.runtime == "onnxruntime"
    assert model("a good film").label == "pos"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        edgebert.load(copied)


@pytest.mark.usefixtures("no_library")
@pytest.mark.filterwarnings("default::edgebert.FallbackWarning")
@SATURATES
def test_without_the_library_the_command_line_says_so_in_a_line(
    copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(copied), "a good film"]) == 0
    told = capsys.readouterr().err
    assert told.startswith(f"edgebert: warning: {copied}: the native core is not in this installation")
    assert told.count("\n") == 1


@pytest.mark.usefixtures("no_library")
def test_without_the_library_who_asks_for_the_core_is_told_what_to_install(copied: Path) -> None:
    with pytest.raises(MissingDependencyError, match=r"run core/build\.py in a checkout") as caught:
        edgebert.load(copied, runtime="core")
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("no_library")
def test_without_the_library_a_bundle_of_the_core_alone_does_not_open(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MissingDependencyError, match="the native core is not in this installation"):
        edgebert.load(alone)
    assert main(["predict", str(alone), "a good film"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["inspect", str(alone)]) == 0
    assert "the native core is not in this installation" in capsys.readouterr().out
    assert main(["doctor"]) == 0
    assert "no: the native core is not in this installation" in capsys.readouterr().out


def test_a_library_that_is_none_is_missing_too(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.so").write_text("no library")
    monkeypatch.setattr(core, "LIBRARY", tmp_path / "text.so")
    core.library.cache_clear()
    try:
        with pytest.raises(MissingDependencyError, match="the native core cannot be loaded"):
            edgebert.load(copied, runtime="core")
    finally:
        core.library.cache_clear()


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_answers_as_the_model_does(again: Any, core_bundle: Path) -> None:
    model = edgebert.load(core_bundle, runtime="core", threads=2)
    other = again(model)
    assert repr(other) == repr(model)
    answers = model(TEXTS)
    model.close()
    assert other(TEXTS) == answers


def test_threads_that_share_a_model_get_the_same_bits(core_bundle: Path) -> None:
    model = edgebert.load(core_bundle, runtime="core", threads=2)
    expected = [window[0].tobytes() for window in model.raw(TEXTS)]
    wrong: list[int] = []

    def ask(number: int) -> None:
        for turn in range(30):
            order = [(number + turn + at) % len(TEXTS) for at in range(1 + turn % len(TEXTS))]
            found = model.raw([TEXTS[at] for at in order])
            wrong.extend(at for at, (answer,) in zip(order, found, strict=True) if answer.tobytes() != expected[at])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert not wrong


def test_closing_waits_for_the_batch_of_another_thread(core_bundle: Path) -> None:
    model = edgebert.load(core_bundle, runtime="core", threads=1)
    expected = model("a good film")
    started, found = threading.Event(), []

    def ask() -> None:
        try:
            while True:
                found.append(model("a good film"))
                started.set()
        except InputError as error:
            found.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert started.wait(60)
    model.close()
    thread.join(60)
    assert isinstance(found[-1], InputError)
    assert all(answer == expected for answer in found[:-1])


@pytest.mark.parametrize(
    ("ids", "kind", "fact"),
    [
        ([2, 5000, 3], BundleError, "token id 5000 is beyond the vocabulary of"),
        ([2, 2**40, 3], TextError, "is no encoded text"),
        ([2, -1, 3], TextError, "is no encoded text"),
        ([], TextError, "has no token"),
        ([2] * 33, BundleError, "text 1 has 33 tokens; give 1 to 32"),
    ],
)
def test_ids_that_the_model_cannot_take_are_refused(
    ids: list[int], kind: type[Exception], fact: str, core_bundle: Path
) -> None:
    model = edgebert.load(core_bundle, runtime="core")
    encoded = Encoded(ids, [0] * len(ids))
    for batch in ([encoded], [Encoded([2, 3], [0, 0]), encoded]):
        with pytest.raises(kind, match=fact.replace("text 1", r"text \d")):
            model.outputs(batch)
    assert model("a good film").label == "pos"


def test_a_manifest_longer_than_the_model_file_is_refused(copied: Path) -> None:
    rewrite(copied, max_length=64)
    with pytest.raises(BundleError, match=r"damaged: max_length is 64, but core\.bin takes 32 tokens at most"):
        edgebert.load(copied, runtime="core")


@pytest.mark.parametrize("command", ["predict", "verify"])
def test_an_altered_model_file_is_one_line(command: str, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = copied / "core.bin"
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    assert main([command, str(copied), *(["a good film"] if command == "predict" else [])]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"edgebert: {file}: altered")
    assert err.count("\n") == 1


@pytest.mark.parametrize("size", [0, 40, 4000, -1])
def test_a_model_file_cut_short_before_its_hash_was_taken_is_refused(
    size: int, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = copied / "core.bin"
    file.write_bytes(file.read_bytes()[:size])
    write_manifest(copied, read_document(copied))
    with pytest.raises(BundleError, match=r"core\.bin: .*; export the bundle again"):
        edgebert.load(copied, runtime="core")
    assert main(["predict", str(copied), "a good film", "--runtime", "core"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_model_file_of_another_model_is_refused(copied: Path) -> None:
    rewrite(copied, labels=["a", "b", "c"], data={**read_document(copied)["data"], "label_values": []})
    with pytest.raises(BundleError, match=r"has 3 label\(s\) for logits, but the graph has 2 columns"):
        edgebert.load(copied, runtime="core")


def test_every_command_takes_the_core(core_bundle: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, data = str(core_bundle), str(data_dir / "test.tsv")
    assert main(["predict", bundle, "a lovely film", "--runtime", "core", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] == "pos"
    assert main(["evaluate", bundle, "--data", data, "--runtime", "core", "--json"]) == 0
    recorded = read_document(core_bundle)["stages"][-1]["metrics"]["core"]["quality"]["test"]["value"]
    assert recorded == pytest.approx(json.loads(capsys.readouterr().out)["quality"]["value"])
    assert main(["verify", bundle]) == 0
    assert main(["inspect", bundle]) == 0
    page = capsys.readouterr().out
    assert f"kernel {kernel_names()[0]} on this CPU" in page
    assert "core; also onnxruntime" in page
    assert main(["doctor", "--json"]) == 0
    row = next(row for row in json.loads(capsys.readouterr().out)["runtimes"] if row["runtime"] == "core")
    assert row["kernels"] == kernel_names()


def test_a_bench_runs_the_core_beside_its_baseline(
    core_bundle: Path, export_core: Export, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, baseline = export_core("quantize.format=none")
    assert code == 0
    suite = 'name = "tiny"\nrounds = 2\nsamples = 10\nwarmup = 1\nbatch_size = 8\n'
    (tmp_path / "s.toml").write_text(suite)
    command = ["bench", str(core_bundle), "--baseline", str(baseline), "--data", str(data_dir / "test.tsv"), "--json"]
    capsys.readouterr()
    assert main([*command, "--suite", str(tmp_path / "s.toml"), "--out", str(tmp_path / "bench")]) == 0
    cases = json.loads(capsys.readouterr().out)["cases"]
    runtimes = {case["variant"]: case["runtime"] for case in cases}
    assert list(runtimes.values()) == ["onnxruntime", "core"]
    recorded = read_document(core_bundle)["metrics"]["test"]["value"]
    assert cases[1]["quality"]["value"] == pytest.approx(recorded)


def test_padded_batches_and_ragged_ones_agree(core_bundle: Path) -> None:
    model = edgebert.load(core_bundle, runtime="core")
    windows = [model.task.encode(text)[0] for text in TEXTS]
    together = model.run_encoded(windows)[0]
    for row, window in zip(together, windows, strict=True):
        np.testing.assert_array_equal(row, model.run_encoded([window])[0][0])
