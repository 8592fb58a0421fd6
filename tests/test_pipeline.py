"""All stages on a tiny model: their results, and equal bytes after killed or repeated runs."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import RECIPE, make_checkpoint

from edgebert.bundle import bundle_hash, check_files, read_document, read_manifest, stages_folder
from edgebert.cli import main
from edgebert.compress import checkpoint, conditions
from edgebert.compress.train import has_bf16
from edgebert.leftovers import MARKER
from edgebert.runtime.encode import TextEncoder


def export(recipe: Path, data: Path, out: Path, *more: str) -> int:
    return main(["export", str(recipe), "--data-dir", str(data), "--out", str(out), *more])


@pytest.fixture(scope="module")
def brief_recipe(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """A fast recipe with every stage, for runs that are repeated from the start or killed."""
    path = tmp_path_factory.mktemp("brief") / "brief.toml"
    text = re.sub(r"epochs = \d\.0", "epochs = 2.0", RECIPE.replace("CHECKPOINT", str(checkpoint)))
    path.write_text(f"{text}stages = false\n".replace("layers = [0, 2]", "layers = [0]"))
    return path


@pytest.fixture(scope="module")
def brief(brief_recipe: Path, data_dir: Path) -> Path:
    """Its bundle; treat it as read-only."""
    assert export(brief_recipe, data_dir, brief_recipe.with_name("bundle")) == 0
    return brief_recipe.with_name("bundle")


def test_every_stage_is_in_the_manifest_with_its_figures(built: Path) -> None:
    manifest = read_document(built)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert manifest["metrics"]["test"]["n"] == 64
    assert manifest["metrics"]["test"]["value"] > 0.75
    assert manifest["metrics"]["test"]["ci_low"] <= manifest["metrics"]["test"]["value"]
    assert manifest["precision"] == "int8-dynamic"
    assert [file["rows"] for file in manifest["data"]["files"]] == [192, 64, 64]


def test_pruned_shapes_are_smaller_and_told(built: Path) -> None:
    layers = read_document(built)["layers"]
    assert len(layers) == 2
    assert sum(layer["heads"] for layer in layers) == 6
    assert sum(layer["ffn"] for layer in layers) < 128


def test_the_bundle_holds_no_path_of_this_machine(
    built: Path, first_built: Path, data_dir: Path, checkpoint: Path
) -> None:
    check_files(built, read_manifest(built))
    for path in built.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for place in (data_dir, checkpoint, first_built.parent, built.parent, Path(__file__).parent.parent):
                assert str(place).encode() not in content, f"{path.name} names {place}"


def test_stage_bundles_stand_beside_the_bundle_and_load(built: Path) -> None:
    import edgebert

    root = built.with_name(built.name + ".stages")
    assert sorted(path.name for path in root.iterdir()) == ["0-baseline", "1-graph", "2-distill", "3-prune"]
    texts = ["a good film", "the story was awful and cold"]
    plain, fast = ([row[0] for row in edgebert.load(root / name).raw(texts)] for name in ("0-baseline", "1-graph"))
    assert np.array(plain) == pytest.approx(np.array(fast), abs=1e-4)


def test_only_the_graph_of_the_bundle_is_scored(built: Path) -> None:
    stages = stages_folder(built).iterdir()
    scored = {path.name: sorted(read_document(path)["metrics"]) for path in stages}
    assert scored == {"0-baseline": [], "1-graph": [], "2-distill": [], "3-prune": ["test", "validation"]}
    assert "Not measured: the recipe does not ask for it" in (stages_folder(built) / "2-distill/README.md").read_text()
    assert "| split | metric | value | 95% interval | texts |" in (built / "README.md").read_text()


def test_a_second_run_does_nothing_again_and_gives_the_same_hash(
    built: Path, recipe_file: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "again"
    work = built.with_name(built.name + ".work")
    assert export(recipe_file, data_dir, out, "--work", str(work), "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert all(stage["cached"] for stage in answer["stages"])
    assert answer["bundle_hash"] == bundle_hash(built)


@pytest.mark.slow
@pytest.mark.usefixtures("traced_anew")
def test_a_run_from_nothing_gives_the_same_hash(
    brief: Path, brief_recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    assert export(brief_recipe, data_dir, tmp_path / "fresh") == 0
    assert bundle_hash(tmp_path / "fresh") == bundle_hash(brief)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["finetune", "distill", "recover", "quantize"])
def test_a_run_killed_inside_a_stage_goes_on_to_the_same_hash(
    stage: str, brief: Path, brief_recipe: Path, data_dir: Path, tmp_path: Path
) -> None:
    work = tmp_path / "killed.work"
    shutil.copytree(brief.with_name("bundle.work"), work)
    order = ["finetune", "distill", "prune", "recover", "graph", "quantize"]
    for later in order[order.index(stage) :]:
        for folder in work.glob(f"{later}-*"):
            shutil.rmtree(folder)
    command = ["export", str(brief_recipe), "--data-dir", str(data_dir), "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(
        [sys.executable, "-m", "edgebert.cli", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    # Kill training after it has written a checkpoint, and the other stages as soon as they write.
    pattern = f"{stage}-*.partial/**/trainer_state.json" if stage not in ("quantize",) else f"{stage}-*.partial"
    written = False
    while not written and process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):  # a folder that was renamed while it was listed
            written = any(work.glob(pattern))
        time.sleep(0.02)
    assert process.poll() is None, "the run ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    assert list(work.glob(f"{stage}-*.partial"))
    assert export(brief_recipe, data_dir, tmp_path / "killed") == 0
    assert bundle_hash(tmp_path / "killed") == bundle_hash(brief)


@pytest.mark.slow
def test_a_checkpoint_with_the_head_is_only_quantized(tmp_path: Path) -> None:
    source = make_checkpoint(tmp_path / "model", layers=1, head=2)
    recipe = tmp_path / "quantize.toml"
    recipe.write_text(
        f'name = "q"\ntask = "text-classification"\n[model]\nsource = "{source}"\n'
        '[data]\nunlabelled = ["text.txt"]\nmax_length = 32\n[export]\nstages = false\n'
    )
    (tmp_path / "text.txt").write_text("a good film\nthe story is dull\n" * 8)
    assert export(recipe, tmp_path, tmp_path / "q") == 0
    manifest = read_document(tmp_path / "q")
    assert [stage["stage"] for stage in manifest["stages"]] == ["quantize"]
    assert manifest["labels"] == ["LABEL_0", "LABEL_1"]
    assert manifest["metrics"] == {}


@pytest.fixture
def text_only(tmp_path: Path) -> Path:
    """A recipe that only quantizes and exports a checkpoint of one layer, with other settings as given."""
    source = make_checkpoint(tmp_path / "model", layers=1, head=2)
    (tmp_path / "text.txt").write_text("a good film\nthe story is dull\n" * 8)
    (tmp_path / "quantize.toml").write_text(
        f'name = "q"\ntask = "text-classification"\n[model]\nsource = "{source}"\n'
        '[data]\nunlabelled = ["text.txt"]\nmax_length = 32\n'
    )
    return tmp_path / "quantize.toml"


@pytest.mark.slow
def test_a_bundle_for_openvino_alone_has_its_baseline_on_onnx_runtime(text_only: Path, tmp_path: Path) -> None:
    out = tmp_path / "q"
    assert export(text_only, tmp_path, out, "--set", 'export.formats=["openvino"]') == 0
    manifest = read_document(out)
    assert manifest["runtime"]["graphs"] == {"openvino": "openvino/model.xml"}
    assert manifest["precision"] == "int8-static"
    assert not list(out.glob("*.onnx"))
    assert main(["verify", str(out)]) == 0
    stages = [read_document(path)["runtime"]["graphs"] for path in (tmp_path / "q.stages").iterdir()]
    assert stages == [{"onnxruntime": "model.onnx", "openvino": "openvino/model.xml"}] * 2


def test_every_stage_says_what_it_ran_with(built: Path) -> None:
    manifest = read_document(built)
    trained = [stage["ran"] for stage in manifest["stages"] if stage["stage"] in ("finetune", "distill", "recover")]
    for ran in trained:
        assert (ran["precision"], ran["processes"]) == ("bf16" if has_bf16() else "fp32", 1)
        assert ran["tools"]["transformers"] == metadata.version("transformers")
    assert len(trained) == 3
    ran = {name: version for stage in manifest["stages"] for name, version in stage["ran"]["tools"].items()}
    assert manifest["tools"] == ran
    assert {"accelerate", "onnxscript", "nncf", "optimum"} <= set(ran)
    assert "neural-compressor" not in ran


@pytest.mark.slow
def test_an_upgrade_between_two_runs_runs_again_what_it_concerns(
    text_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--set", "export.stages=false", "--set", "export.baseline=false", "--json")

    def cached() -> dict[str, bool]:
        capsys.readouterr()
        assert export(text_only, tmp_path, tmp_path / "q", *more) == 0
        return {stage["title"].split()[0]: stage["cached"] for stage in json.loads(capsys.readouterr().out)["stages"]}

    assert cached() == {"take-over": False, "graph": False, "quantize": False}
    first, installed = read_document(tmp_path / "q")["tools"], conditions.version
    assert first["onnxruntime"] == metadata.version("onnxruntime")
    assert not {"nncf", "openvino", "neural-compressor"} & set(first)
    monkeypatch.setattr(conditions, "version", lambda name: "99.0" if name == "onnxruntime" else installed(name))
    assert cached() == {"take-over": True, "graph": False, "quantize": False}
    manifest = read_document(tmp_path / "q")
    assert manifest["tools"] == {**first, "onnxruntime": "99.0"}
    assert manifest["stages"][-1]["ran"]["tools"]["onnxruntime"] == "99.0"
    monkeypatch.setattr(conditions, "version", installed)
    assert cached() == {"take-over": True, "graph": True, "quantize": True}
    assert read_document(tmp_path / "q")["tools"] == first


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each model and its tokenizer were read, by reader and by the stage that made them."""
    counts: Counter[str] = Counter()

    def count(owner: Any, name: str, folder: Callable[[Path], Path]) -> None:
        call = getattr(owner, name)

        def counted(first: Any, *more: Any, **named: Any) -> Any:
            path = folder(Path(more[0] if owner is TextEncoder else first))
            counts[f"{name} {path.name.partition('-')[0]}"] += 1
            return call(first, *more, **named)

        monkeypatch.setattr(owner, name, counted)

    count(checkpoint, "load_model", lambda folder: folder)
    count(checkpoint, "load_tokenizer", lambda folder: folder)
    count(TextEncoder, "__init__", lambda path: path.parent)
    return counts


@pytest.mark.slow
def test_stage_bundles_of_an_earlier_export_do_not_stay(text_only: Path, tmp_path: Path, read: Counter[str]) -> None:
    root, plain = tmp_path / "q.stages", ("--set", "quantize.format=none")
    assert export(text_only, tmp_path, tmp_path / "q") == 0
    # The checkpoint, and what is taken over from it: its plain graph, its fast one and INT8 are made of one reading.
    assert read == {f"{name} {of}": 1 for name in ("load_model", "load_tokenizer") for of in ("model", "take")} | {
        "__init__ take": 1
    }
    assert sorted(path.name for path in root.iterdir()) == ["0-baseline", "1-graph"]
    (root / "3-notes").mkdir()
    for left in (".1-graph.old", ".2-distill.partial"):  # as a killed run leaves them
        (root / left).mkdir()
        (root / left / "model.onnx").write_bytes(b"half")
        (root / left / MARKER).touch()
    assert export(text_only, tmp_path, tmp_path / "q", *plain) == 0
    assert sorted(path.name for path in root.iterdir()) == ["0-baseline", "3-notes"]
    assert export(text_only, tmp_path, tmp_path / "q", *plain, "--set", "export.stages=false") == 0
    assert sorted(path.name for path in root.iterdir()) == ["3-notes"]


@pytest.mark.slow
def test_more_texts_to_compare_on_compare_anew(text_only: Path, tmp_path: Path) -> None:
    for texts in (4, 9):
        assert export(text_only, tmp_path, tmp_path / "q", "--set", f"export.parity_samples={texts}") == 0
        metrics = read_document(tmp_path / "q")["stages"][-1]["metrics"]
        assert (metrics["agreement"]["texts"], metrics["unpadded"]["texts"]) == (texts, texts)


def test_static_int8_of_a_plain_graph_is_refused(
    text_only: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--set", "quantize.format=static", "--set", "export.graph=plain")
    assert export(text_only, tmp_path, tmp_path / "q", *more) == 2
    assert 'set export.graph = "fast", or quantize.format to dynamic' in capsys.readouterr().err


@pytest.mark.slow
def test_the_manifest_says_how_int8_was_smoothed_and_calibrated(tmp_path: Path) -> None:
    source = make_checkpoint(tmp_path / "model", layers=1, head=2)
    recipe = tmp_path / "quantize.toml"
    recipe.write_text(
        f'name = "q"\ntask = "text-classification"\n[model]\nsource = "{source}"\n'
        '[data]\nunlabelled = ["text.txt"]\nmax_length = 32\n[export]\nstages = false\nformats = ["onnx", "openvino"]\n'
        '[quantize]\nformat = "static"\nsmooth = 0.5\ncalibration = "percentile"\n'
    )
    (tmp_path / "text.txt").write_text("a good film\nthe story is dull\n" * 8)
    assert export(recipe, tmp_path, tmp_path / "q") == 0
    metrics = read_document(tmp_path / "q")["stages"][-1]["metrics"]
    smoothing = metrics["smoothing"]
    assert (smoothing["alpha"], smoothing["rescaled"], smoothing["folded"]) == (0.5, 3, 1)
    assert 0 < smoothing["parity"]["max_difference"] <= 1e-5
    assert metrics["openvino"]["smooth"] == 0.5
    assert metrics["openvino"]["calibration"] == "mean of each text's 99.99% quantiles"
    assert metrics["agreement"]["agreement"] >= 0.95
    assert main(["verify", str(tmp_path / "q")]) == 0


@pytest.mark.slow
def test_static_int8_keeps_the_labels(recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path) -> None:
    work = built.with_name(built.name + ".work")
    more = ("--work", str(work), "--set", "quantize.format=static", "--set", 'export.formats=["onnx"]')
    more = (*more, "--set", "quantize.max_drop=0.05")
    assert export(recipe_file, data_dir, tmp_path / "static", *more) == 0
    manifest = read_document(tmp_path / "static")
    assert manifest["precision"] == "int8-static"
    guard, held = (manifest["stages"][-1]["metrics"][name] for name in ("guard", "quality"))
    assert guard["tried"][-1]["quality"] == held["validation"]["value"] >= guard["full_precision"] - 0.05
    # Its attention is made of standard nodes, which TensorRT needs, and reads its mask.
    dynamic = {path.name for path in built.iterdir()}
    assert {path.name for path in (tmp_path / "static").iterdir()} == dynamic - {"openvino", "unpadded.onnx"}
    assert manifest["stages"][-1]["metrics"]["agreement"]["agreement"] >= 0.95


@pytest.mark.slow
def test_baseline_inside_the_bundle_and_scored_where_asked(
    recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path
) -> None:
    work = built.with_name(built.name + ".work")
    more = ("--work", str(work), "--set", "export.baseline=true", "--set", "export.stages=false")
    more = (*more, "--set", "export.score_stages=true")
    assert export(recipe_file, data_dir, tmp_path / "with", *more) == 0
    assert main(["verify", str(tmp_path / "with")]) == 0
    assert main(["verify", str(tmp_path / "with" / "baseline")]) == 0
    baseline = read_document(tmp_path / "with" / "baseline")
    assert baseline["precision"] == "fp32"
    assert baseline["metrics"]["test"]["n"] == 64


@pytest.mark.slow
def test_the_plain_graph_can_be_quantized_too(recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path) -> None:
    work = built.with_name(built.name + ".work")
    more = ("--work", str(work), "--set", "export.graph=plain", "--set", "export.stages=false")
    assert export(recipe_file, data_dir, tmp_path / "plain", *more) == 0
    manifest = read_document(tmp_path / "plain")
    assert manifest["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert manifest["stages"][-1]["metrics"]["agreement"]["agreement"] >= 0.95


PAIRS = """
name = "pairs"
task = "text-classification"
[model]
source = "CHECKPOINT"
[data]
train = "pairs.csv"
validation = "pairs.csv"
text = "first"
text_pair = "second"
label = "same"
max_length = 24
[finetune]
epochs = 1.0
learning_rate = 1e-3
batch_size = 8
[export]
stages = false
"""


@pytest.mark.slow
def test_pairs_of_texts_keep_their_segments(
    shallow_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import edgebert

    rows = [("a good film", "a great film", "yes"), ("the story was dull", "a warm meal", "no")] * 12
    lines = ["first,second,same", *(",".join(row) for row in rows)]
    (tmp_path / "pairs.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "pairs.toml").write_text(PAIRS.replace("CHECKPOINT", str(shallow_checkpoint)))
    assert main(["export", str(tmp_path / "pairs.toml"), "--out", str(tmp_path / "pairs")]) == 0
    model = edgebert.load(tmp_path / "pairs")
    assert model.manifest.inputs == ("input_ids", "attention_mask", "token_type_ids")
    one = model(("a good film", "a great film"))
    assert model([("a good film", "a great film"), ("a bad play", "a cold meal")])[0].label == one.label
    for wrong in ("a single text", ("a", None), ("a", "b", "c")):
        with pytest.raises(edgebert.TextError):
            model(wrong)
    capsys.readouterr()
    for option in ("--text-pair", "--context"):
        assert main(["predict", str(tmp_path / "pairs"), "a good film", option, "a great film"]) == 0
        assert capsys.readouterr().out == f"{one}\ta good film | a great film\n"
    assert main(["evaluate", str(tmp_path / "pairs"), "--data", str(tmp_path / "pairs.csv")]) == 0
    assert "24 texts" in capsys.readouterr().out
