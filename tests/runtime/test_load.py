"""Opening a bundle: the requested runtime, threads, and missing or damaged parts."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import small_bundle
from small_bundle import write_small_bundle
from this_machine import pretend

import edgebert
from edgebert.bundle import read_document, write_manifest
from edgebert.cli import main
from edgebert.errors import BundleError, DataError, EdgeBertError, InputError, MissingDependencyError

pytestmark = pytest.mark.int8

TEXTS = ["a good film", "the story was awful and cold", "warm meal and lovely play", "dull so poor a song"]


def change(bundle: Path, **changes: Any) -> None:
    """Rewrite the manifest with other values and valid hashes."""
    manifest = json.loads((bundle / "manifest.json").read_text())
    write_manifest(bundle, {**manifest, **changes})


def refused(bundle: Path, kind: type[EdgeBertError] = BundleError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        edgebert.load(bundle, **options)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_both_runtimes_agree_on_labels_and_nearly_on_scores(built: Path) -> None:
    onnx, openvino = (edgebert.load(built, runtime=name)(TEXTS) for name in ("onnxruntime", "openvino"))
    assert [answer.label for answer in onnx] == [answer.label for answer in openvino]
    assert {answer.label for answer in onnx} == {"pos", "neg"}
    for one, other in zip(onnx, openvino, strict=True):
        assert one.score == pytest.approx(other.score, abs=0.05)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_may_be_a_string_and_threads_do_not_change_the_answer(built: Path, runtime: str, kind: type) -> None:
    one = edgebert.load(kind(built), runtime=runtime, threads=1)
    two = edgebert.load(kind(built), runtime=runtime, threads=2)
    ours, theirs = ([outputs[0] for outputs in model.raw(TEXTS)] for model in (one, two))
    assert np.array(ours) == pytest.approx(np.array(theirs), abs=1e-4)


def test_the_bundles_own_choice_is_the_default(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = json.loads((bundle_copy / "manifest.json").read_text())["runtime"]
    assert runtime["default"] == "onnxruntime"
    change(bundle_copy, runtime={**runtime, "default": "openvino"})
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert "openvino" in refused(bundle_copy, MissingDependencyError)


@pytest.mark.parametrize("runtime", ["tensorrt", "ONNXRuntime"])
def test_an_unknown_runtime_is_told_with_those_of_the_bundle(built: Path, runtime: str) -> None:
    message = refused(built, runtime=runtime)
    assert repr(runtime) in message
    assert "onnxruntime, openvino" in message


def test_a_bundle_without_an_openvino_graph_says_what_it_has(bundle_copy: Path) -> None:
    shutil.rmtree(bundle_copy / "openvino")
    change(bundle_copy, runtime={"default": "onnxruntime", "graphs": {"onnxruntime": "model.onnx"}})
    assert refused(bundle_copy, runtime="openvino") == (
        f"{bundle_copy}: no graph for runtime 'openvino'; this bundle has onnxruntime "
        "(export.formats of the recipe names the formats to write)"
    )
    assert edgebert.load(bundle_copy)("a good film").label == "pos"


@pytest.mark.parametrize(
    ("module", "remedy"), [("openvino", r"pip install edgebert[openvino]"), ("onnxruntime", "pip install edgebert")]
)
def test_a_runtime_that_is_not_installed_names_what_brings_it(
    built: Path, module: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    message = refused(built, MissingDependencyError, runtime=module)
    assert message == f"{module} is not installed; {remedy}"


def test_a_provider_that_this_onnxruntime_lacks_is_told(bundle_copy: Path) -> None:
    profile = json.loads((bundle_copy / "manifest.json").read_text())["profile"]
    profile["export"]["provider"] = "MissingExecutionProvider"
    change(bundle_copy, profile=profile)
    message = refused(bundle_copy, MissingDependencyError)
    assert "MissingExecutionProvider" in message
    assert "CPUExecutionProvider" in message


@pytest.mark.parametrize("threads", [0, -1])
def test_less_than_one_thread_is_refused(built: Path, threads: int) -> None:
    assert refused(built, InputError, threads=threads) == f"threads is {threads}; give 1 to 1024"


@pytest.mark.parametrize(
    ("name", "runtime"),
    [
        ("model.onnx", "onnxruntime"),
        ("unpadded.onnx", "onnxruntime"),
        ("tokenizer.json", None),
        ("openvino/model.xml", "openvino"),
        ("openvino/model.bin", "openvino"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_a_damaged_file_is_named(bundle_copy: Path, name: str, runtime: str | None, damage: str) -> None:
    path = bundle_copy / name
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[:-1] if damage == "truncated" else data[:-1] + bytes([data[-1] ^ 1]))
    assert refused(bundle_copy, runtime=runtime).startswith(f"{path}: ")


@pytest.mark.parametrize("damage", ["missing", "truncated", "altered"])
def test_of_a_file_that_the_runtime_does_not_read_the_hash_alone_is_left_out(bundle_copy: Path, damage: str) -> None:
    path = bundle_copy / "openvino" / "model.bin"
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[:-1] if damage == "truncated" else data[:-1] + bytes([data[-1] ^ 1]))
    if damage == "altered":
        assert edgebert.load(bundle_copy, runtime="onnxruntime")("a good film").label == "pos"
        assert main(["verify", str(bundle_copy)]) == 2
    else:
        assert refused(bundle_copy, runtime="onnxruntime").startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("name", "runtime"),
    [("unpadded.onnx", "onnxruntime"), ("openvino/model.xml", "openvino"), ("tokenizer.json", None)],
)
def test_a_file_that_is_not_what_its_name_says_is_named(bundle_copy: Path, name: str, runtime: str | None) -> None:
    (bundle_copy / name).write_text("no such thing")
    change(bundle_copy)
    assert refused(bundle_copy, runtime=runtime).startswith(f"{bundle_copy / name}: ")


def test_without_verify_an_altered_file_is_not_looked_for(bundle_copy: Path) -> None:
    tokenizer = bundle_copy / "tokenizer.json"
    tokenizer.write_bytes(tokenizer.read_bytes()[:-2] + b" }")
    assert "tokenizer.json" in refused(bundle_copy)
    assert edgebert.load(bundle_copy, verify=False)("a good film").label == "pos"


def test_a_task_of_another_version_is_told(bundle_copy: Path) -> None:
    change(bundle_copy, task="translation")
    message = refused(bundle_copy)
    assert message.startswith(f"{bundle_copy}: task 'translation' is not known; this EdgeBERT knows ")
    assert "text-classification" in message
    assert message.endswith("; update edgebert")


@pytest.mark.parametrize(
    "changes",
    [{"runtime": {}}, {"runtime": None}, {"profile": {}}, {"max_length": "long"}, {"labels": 2}, {"head": None}],
)
def test_a_manifest_whose_values_make_no_sense_is_damaged(bundle_copy: Path, changes: dict[str, Any]) -> None:
    change(bundle_copy, **changes)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        edgebert.load(bundle_copy)("a good film")


def test_a_bundle_works_where_it_is_moved_to(built: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(built, tmp_path / "ein Ordner mit ü"))
    assert edgebert.load(moved)(TEXTS) == edgebert.load(built)(TEXTS)
    assert edgebert.load(moved, runtime="openvino")(TEXTS) == edgebert.load(built, runtime="openvino")(TEXTS)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_threads_that_share_a_model_get_their_own_answers(built: Path, runtime: str) -> None:
    model = edgebert.load(built, runtime=runtime, threads=1)
    texts = ["a good film", "the story was awful", "good " * 9, "film"]
    expected = [model(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(model, texts * 60))
    assert answers == expected * 60


def full_range(bundle_copy: Path) -> Path:
    """A bundle whose manifest says that its weights have eight bits."""
    profile = read_document(bundle_copy)["profile"]
    profile["export"] |= {"reduce_range": False, "weight_type": "int8"}
    change(bundle_copy, profile=profile)
    return bundle_copy


@pytest.mark.filterwarnings("default::edgebert.SaturationWarning")
def test_sums_that_saturate_here_are_warned_of_once(
    bundle_copy: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    pretend(monkeypatch, "avx2")
    folder = full_range(bundle_copy)
    for _ in range(3):
        edgebert.load(folder)
    (warning,) = recwarn.list
    assert warning.category is edgebert.SaturationWarning
    # The warning points to the caller's line, not into EdgeBERT.
    assert warning.filename == __file__
    assert str(warning.message) == (
        f"{folder}: INT8 sums saturate on this CPU (Some CPU, AVX2 without VNNI): the weights have eight bits, which "
        "needs VNNI, so answers are less accurate than on a CPU that has it; export with --profile x86-avx2, whose "
        "weights have seven"
    )
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    edgebert.load(other)
    assert str(recwarn.list[-1].message).startswith(f"{other}: INT8 sums saturate")
    assert len(recwarn.list) == 2


@pytest.mark.parametrize("features", [("avx2", "avx512_vnni"), ("avx2", "avx_vnni"), ()])
def test_nothing_is_warned_of_where_sums_are_exact(
    features: tuple[str, ...], bundle_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In these tests, warnings are errors."""
    pretend(monkeypatch, *features)
    edgebert.load(full_range(bundle_copy))


def test_seven_bits_are_right_everywhere(bundle_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "avx2")
    profile = read_document(full_range(bundle_copy))["profile"]
    profile["export"]["reduce_range"] = True
    change(bundle_copy, profile=profile)
    edgebert.load(bundle_copy)


@pytest.mark.parametrize("name", ["a\0", "\ud800"])
def test_a_name_that_no_bundle_has_is_a_bundle_error(name: str) -> None:
    with pytest.raises(BundleError, match="the name "):
        edgebert.load(name)


def test_a_boolean_is_no_number_of_threads(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="threads is True"):
        edgebert.load(small_bundle(tmp_path / "b"), threads=True)


@pytest.mark.parametrize("name", ["a\0.tsv", "\ud800.tsv"])
def test_a_name_that_no_data_file_has_is_a_data_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the name "), edgebert.load(write_small_bundle(tmp_path / "b")) as model:
        edgebert.evaluate(model, name)


def test_openvinos_own_reason_is_shown_where_it_cannot_open_a_graph(bundle_copy: Path) -> None:
    graph = bundle_copy / "openvino" / "model.xml"
    graph.write_text(graph.read_text().replace('type="MatMul"', 'type="Nope"', 1))
    manifest = read_document(bundle_copy)
    write_manifest(bundle_copy, manifest)
    told = refused(bundle_copy, runtime="openvino")
    assert told.startswith(
        f"{graph}: OpenVINO cannot open it (Opset opset1 doesn't contain the operation with type: Nope)"
    )
    assert told.endswith("; export the bundle again")
