"""A finished export that is repeated prints this without torch; after any change it runs as usual."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from this_machine import pretend

from edgebert import finished
from edgebert.bundle import bundle_hash, read_document, stages_folder
from edgebert.cli import main
from edgebert.compress import conditions
from edgebert.finished import Plan, ShownStage, earlier, key_of, record
from edgebert.recipe import read_recipe
from edgebert.target import read_target

STAGE = ShownStage("finetune", "finetune", {})


@pytest.fixture
def plan(built: Path, recipe_file: Path, data_dir: Path, checkpoint: Path, tmp_path: Path) -> Plan:
    """The export of `built`, with checkpoint, data, bundles and finished stages of your own."""
    for folder, name in (
        (checkpoint, "model"),
        (data_dir, "data"),
        (built, "out"),
        (stages_folder(built), "out.stages"),
    ):
        shutil.copytree(folder, tmp_path / name)
    (tmp_path / "work").mkdir()
    source, target = str(tmp_path / "model"), read_target("x86-avx2")
    recipe = read_recipe(recipe_file)
    return Plan(recipe, target, "dynamic", source, tmp_path / "data", tmp_path / "out", tmp_path / "work")


@pytest.fixture
def key(plan: Plan) -> str:
    """The key of this export, whose result is kept."""
    key = key_of(plan)
    assert key is not None
    record(
        plan,
        key,
        sorted(stages_folder(plan.out).iterdir()),
        [STAGE],
    )
    return key


def test_the_same_export_again_says_so_without_pytorch(
    built: Path, recipe_file: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    before, command = bundle_hash(built), ["export", str(recipe_file), "--data-dir", str(data_dir), "--out", str(built)]
    assert main(command) == 0
    answer = capsys.readouterr()
    first, *advice = answer.out.splitlines()
    assert first == f"nothing to do: {built} (hash {before[:16]}) is up to date"
    stages = read_document(built)["stages"]
    assert advice == [f"{entry['stage']}: {line}" for entry in stages for line in entry["metrics"].get("advice", ())]
    assert main([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bundle_hash"] == before
    assert document["metrics"] == read_document(built)["metrics"]
    assert [Path(path).name for path in document["stage_bundles"]] == ["0-baseline", "1-graph", "2-distill", "3-prune"]
    assert all(Path(path).is_dir() for path in document["stage_bundles"])
    assert {"finetune", "graph", "quantize"} <= {stage["stage"] for stage in document["stages"]}
    assert all(stage["cached"] for stage in document["stages"])


def test_what_was_kept_is_found_as_long_as_all_of_it_is_there(plan: Plan, key: str) -> None:
    assert key_of(plan) == key
    found = earlier(plan, key)
    assert found is not None
    assert found.stages == (STAGE,)


def test_an_export_that_refuses_unknown_labels_is_another_one(plan: Plan, key: str) -> None:
    assert key_of(replace(plan, strict_labels=True)) not in (key, None)


def append(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("ab") as opened:
            opened.write(b"\n")

    return change


@pytest.mark.parametrize(
    "change",
    [
        append("out/model.onnx"),
        append("out/README.md"),
        append("out/manifest.json"),
        append("out.stages/1-graph/model.onnx"),
        append("out/notes.txt"),
        lambda folder: (folder / "out" / "tokenizer.json").unlink(),
        lambda folder: shutil.rmtree(folder / "out"),
        lambda folder: shutil.rmtree(folder / "out.stages" / "2-distill"),
        lambda folder: shutil.copytree(folder / "out.stages" / "3-prune", folder / "out.stages" / "4-vocabulary"),
        lambda folder: (folder / "out.stages" / ".3-prune.old").mkdir(),
        lambda folder: [path.write_text('{"bundles": 3}') for path in (folder / "work").iterdir()],
    ],
)
def test_a_bundle_that_is_not_as_it_was_written_is_made_again(
    change: Callable[[Path], None], plan: Plan, key: str, tmp_path: Path
) -> None:
    change(tmp_path)
    assert earlier(plan, key) is None


@pytest.mark.parametrize(
    "change",
    [append("data/train.tsv"), append("data/test.tsv"), append("model/config.json"), append("model/vocab.txt")],
)
def test_other_files_are_another_export(change: Callable[[Path], None], plan: Plan, key: str, tmp_path: Path) -> None:
    (tmp_path / "model" / "vocab.txt").touch()
    before = key_of(plan)
    change(tmp_path)
    assert key_of(plan) not in (None, before)


def test_another_recipe_tool_code_or_machine_is_another_export(
    plan: Plan, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [replace(plan, recipe=replace(plan.recipe, seed=8)), replace(plan, target=read_target("raspberry-pi-5"))]
    keys = [key, *map(key_of, others)]
    with monkeypatch.context() as patch:
        patch.setattr(conditions, "version", lambda name: "99.0")
        keys.append(key_of(plan))
    with monkeypatch.context() as patch:
        pretend(patch, "avx2")
        keys.append(key_of(plan))
    with monkeypatch.context() as patch:
        code = Path(shutil.copytree(Path(finished.__file__).parent, tmp_path / "code"))
        append("cli.py")(code)
        patch.setattr(finished, "__file__", str(code / "finished.py"))
        keys.append(key_of(plan))
    assert None not in keys
    assert len(set(keys)) == len(keys)
    assert key_of(plan) == key


@pytest.mark.parametrize(
    "changes",
    [
        {"stages": [{}]},
        {"stages": [5]},
        {"stages": None},
        {"stages": [{"stage": 1, "title": "a", "metrics": {}}]},
        {"bundles": {"../../x": "0"}},
        {"bundles": []},
        {"stage_bundles": {"/x": "0"}},
    ],
)
def test_a_record_that_is_damaged_is_passed_over(changes: dict[str, Any], plan: Plan, key: str) -> None:
    place = plan.work / f"finished-{key[:16]}.json"
    assert earlier(plan, key) is not None
    place.write_text(json.dumps(json.loads(place.read_text()) | changes))
    assert earlier(plan, key) is None


def test_what_cannot_be_read_is_left_to_the_export_to_name(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_of(replace(plan, source="no/such/model")) is None
    assert key_of(replace(plan, data_dir=plan.work)) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert key_of(plan) is None


@pytest.mark.parametrize("content", ["[1]", "5", '["a"]', '[{"path": [1]}]', '[{"path": "a\\u0000b"}]', "[1e999]"])
def test_odd_modules_are_left_to_the_export_to_name(content: str, plan: Plan, tmp_path: Path) -> None:
    model = Path(shutil.copytree(plan.source, tmp_path / "odd"))
    (model / "modules.json").write_text(content)
    assert key_of(replace(plan, source=str(model))) is None


def test_a_module_without_a_folder_has_no_files(plan: Plan, key: str, tmp_path: Path) -> None:
    model = Path(shutil.copytree(plan.source, tmp_path / "sentences"))
    kinds = [("0", "", "Transformer"), ("1", "2_Normalize", "Normalize")]
    modules = [
        {"name": name, "path": path, "type": f"sentence_transformers.models.{kind}"} for name, path, kind in kinds
    ]
    (model / "modules.json").write_text(json.dumps(modules))
    assert key_of(replace(plan, source=str(model))) not in (None, key)
