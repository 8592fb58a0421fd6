"""Folders and files of the wrong kind: one line says what they are, and what to pass instead."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle


def checkpoint_in(folder: Path) -> Path:
    """A folder that looks like a checkpoint without weights."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}\n')
    return folder


def stages_in(folder: Path) -> Path:
    (folder / "finetune-0123").mkdir(parents=True)
    (folder / "finetune-0123" / "stage-key.json").write_text("{}\n")
    return folder


def empty_in(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.mark.parametrize("command", ["predict", "inspect", "verify"])
def test_what_is_given_as_a_bundle_is_named(command: str, tmp_path: Path, run: Run) -> None:
    bundle, model = write_small_bundle(tmp_path / "bundle"), checkpoint_in(tmp_path / "model")
    assert "there is no such folder" in refused(run(command, tmp_path / "none"))
    assert refused(run(command, bundle / "manifest.json")).endswith(f"give the bundle's folder, {bundle}")
    assert refused(run(command, model)).endswith("it is a checkpoint, from which `edgebert export` makes a bundle")
    assert refused(run(command, tmp_path)).endswith(f"give a folder inside it that is a bundle, such as {bundle}")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (empty_in, "an empty folder; give that of a checkpoint"),
        (stages_in, "finished stages of an export (its --work); give the checkpoint or the recipe of that export"),
    ],
)
def test_a_folder_without_weights_is_named(make: Callable[[Path], Path], says: str, tmp_path: Path, run: Run) -> None:
    folder = make(tmp_path / "given")
    assert f"{folder}: {says}" in refused(run("export", folder, "--out", tmp_path / "out"))


def test_a_folder_one_level_off_names_the_right_one(tmp_path: Path, run: Run) -> None:
    model = checkpoint_in(tmp_path / "model")
    (model / "model.safetensors").touch()
    (model / "modules.json").write_text("[]\n")
    pooling = checkpoint_in(model / "1_Pooling")
    assert refused(run("export", tmp_path)).endswith(f"a folder inside it that holds a model, such as {model}")
    assert refused(run("export", pooling)).endswith(f"a module of a sentence-transformers folder; give {model}")


def test_files_that_are_no_recipe_are_named(tmp_path: Path, run: Run) -> None:
    model, bundle = checkpoint_in(tmp_path / "model"), write_small_bundle(tmp_path / "bundle")
    for file in (model / "config.json", bundle / "manifest.json"):
        assert refused(run("export", file)).endswith(f"not a recipe (.toml); give the folder, {file.parent}")
    (tmp_path / "nothing").touch()
    assert "an empty file; `edgebert recipe TASK` writes a recipe" in refused(run("export", tmp_path / "nothing"))


def test_a_file_in_the_path_of_the_bundle_is_named(tmp_path: Path, checkpoint: Path, run: Run) -> None:
    (tmp_path / "file").touch()
    command = ("export", checkpoint, "--task", "similarity", "--pooling", "mean", "--out", tmp_path / "file" / "out")
    code, _, err = run(*command)
    assert code == 2
    assert "cannot be written (a file stands in its path); give another --out" in err


def test_a_refused_export_leaves_no_folders(tmp_path: Path, recipe_file: Path, run: Run) -> None:
    shutil.copy(recipe_file, tmp_path / "r.toml")
    code, _, err = run(
        "export", tmp_path / "r.toml", "--data-dir", tmp_path / "none", "--out", tmp_path / "a" / "b" / "c"
    )
    assert code == 2
    assert "no such data folder" in err
    assert [path.name for path in tmp_path.iterdir()] == ["r.toml"]


def test_a_table_without_the_column_of_texts_says_how_to_name_it(tmp_path: Path, run: Run) -> None:
    bundle = write_small_bundle(tmp_path / "bundle")
    (tmp_path / "t.tsv").write_text("sentence\tother\ngood\t1\n")
    said = refused(run("predict", bundle, "--input", tmp_path / "t.tsv"))
    assert said.endswith(
        "no column 'text'; the header has: 'sentence', 'other'; name that of the texts with --text-column"
    )
