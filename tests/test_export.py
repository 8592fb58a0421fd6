"""`edgebert.export`: a recipe run from Python."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edgebert
from edgebert.bundle import bundle_hash, read_document
from edgebert.cli import main
from edgebert.exporting import overrides_of
from edgebert.recipe import read_recipe
from edgebert.settings import Setting


def test_a_finished_export_is_said_to_be_unchanged_with_what_it_gave(
    built: Path, recipe_file: Path, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "edgebert"):
        made = edgebert.export(recipe_file, data_dir=data_dir, out=built)
    assert made.unchanged
    assert (made.bundle, made.bundle_hash) == (built, bundle_hash(built))
    assert made.metrics == read_document(built)["metrics"]
    assert [stage.cached for stage in made.stages] == [True] * len(made.stages)
    assert made.stages[0].stage == "finetune"
    assert made.to_dict()["stage_bundles"] == [str(path) for path in made.stage_bundles]
    assert "profile: " in caplog.text


def test_settings_take_the_place_of_the_recipes(
    recipe_file: Path, data_dir: Path, built: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = built.with_name(built.name + ".work")
    settings: dict[str, Setting] = {"quantize.format": "none", "name": "small one", "export.stages": False}
    with caplog.at_level(logging.INFO, "edgebert"):
        made = edgebert.export(recipe_file, data_dir=data_dir, out=tmp_path / "fp32", work=work, settings=settings)
    manifest = read_document(made.bundle)
    assert not made.unchanged
    assert (manifest["name"], manifest["precision"], made.stage_bundles) == ("small one", "fp32", ())
    assert edgebert.load(made.bundle)("a good film").label in manifest["labels"]
    assert "finetune: already done, reused" in caplog.messages


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"finetune.epoch": 1}, "unknown key 'finetune.epoch'"),
        ({"finetune.epochs": "many"}, "'finetune.epochs' is 'many'"),
        ({"finetune.epochs": None}, "'finetune.epochs' is None; expected the name of a key, and a text"),
        ({"name": 'x"\nfinetune.epochs=9'}, "which names no folder in build/; give --out"),
        ({"name": "a\0b"}, r"expected the name of a key, and a text"),
        ({"seed": 10**400}, r"expected the name of a key, and a text"),
        ({"distill.layers": [object()]}, r"expected the name of a key, and a text"),
        ({5: 1}, r"settings: 5 is 1; expected the name of a key"),
    ],
)
def test_a_wrong_setting_is_a_settings_error_before_any_work(
    settings: dict[str, Setting], says: str, recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(edgebert.SettingsError, match=says):
        edgebert.export(recipe_file, settings=settings)
    assert list(tmp_path.iterdir()) == []


def test_a_setting_is_taken_as_it_is_whatever_its_characters(recipe_file: Path) -> None:
    for name in ("demo \U0001f600", 'a "quoted" one', "a\\b\x7f", "1", "true"):
        assert read_recipe(recipe_file, overrides_of({"name": name})).name == name


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"profile": 5}, "profile is int 5; give a str"),
        ({"settings": 5}, "settings is int 5; give a dict"),
        ({"settings": [("a", 1)]}, "settings is list"),
        ({"model": 5}, "model is int 5; give a str"),
    ],
)
def test_what_is_of_another_type_is_a_type_error(given: dict[str, Any], says: str, recipe_file: Path) -> None:
    with pytest.raises(TypeError, match=says):
        edgebert.export(recipe_file, **given)


def test_a_folder_is_not_taken_for_a_hub_id(recipe_file: Path, data_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(edgebert.CheckpointError, match=r"^\./owner/name: no such model folder"):
        edgebert.export(recipe_file, data_dir=data_dir, out=tmp_path / "out", model="./owner/name")


@pytest.mark.parametrize("key", ["out", "work", "data_dir"])
def test_a_name_that_no_file_has_is_an_input_error(key: str, recipe_file: Path) -> None:
    with pytest.raises(edgebert.InputError, match=f"{key} holds the character"):
        edgebert.export(recipe_file, **{key: "a\0b"})


def test_a_users_folder_where_a_stages_bundle_goes_is_found_before_any_work(
    recipe_file: Path, data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = tmp_path / "out.stages" / "3-prune" / "notes.txt"
    notes.parent.mkdir(parents=True)
    notes.write_text("mine")
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    with pytest.raises(edgebert.DiskError, match="3-prune: exists and is not a bundle; move it away"):
        edgebert.export(recipe_file, data_dir=data_dir, out=tmp_path / "out")
    assert notes.read_text() == "mine"


def test_a_profile_inside_the_folder_that_would_be_replaced_is_kept(
    recipe_file: Path, data_dir: Path, bundle_copy: Path
) -> None:
    own = bundle_copy / "own.toml"
    own.write_text((Path(__file__).parents[1] / "profiles" / "x86-avx2.toml").read_text())
    with pytest.raises(edgebert.InputError, match=r"own\.toml, which the export reads"):
        edgebert.export(recipe_file, data_dir=data_dir, out=bundle_copy, profile=own)
    assert own.is_file()


SILENT = """
import sys, edgebert
made = edgebert.export(sys.argv[1], data_dir=sys.argv[2], out=sys.argv[3])
assert made.unchanged
"""


def test_notes_are_logged_from_python_and_lines_on_stderr_from_the_command(
    built: Path, recipe_file: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [sys.executable, "-c", SILENT, str(recipe_file), str(data_dir), str(built)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert main(["export", str(recipe_file), "--data-dir", str(data_dir), "--out", str(built)]) == 0
    told = capsys.readouterr()
    assert "nothing to do" in told.out
    assert "profile: " in told.err
