"""`edgebert export CHECKPOINT` that is refused: early, and without a trace."""

import shutil
from pathlib import Path

import pytest
from command_line import Run, refused
from safetensors.numpy import load_file, save_file


@pytest.fixture
def folder(tmp_path: Path, classifier_checkpoint: Path) -> Path:
    """A copy of a classifier's folder."""
    return Path(shutil.copytree(classifier_checkpoint, tmp_path / "model"))


def test_a_file_without_texts_and_a_missing_head_are_refused_before_any_work(run: Run, folder: Path) -> None:
    (folder.parent / "empty.txt").touch()
    (folder.parent / "wrong.tsv").write_text("title\tbody\na\tb\n")
    (folder.parent / "named.tsv").write_text("title\tbody\ngood film\tb\n")
    bare = shutil.copytree(folder, folder.parent / "bare")
    weights = load_file(bare / "model.safetensors")
    save_file({name: weights[name] for name in weights if "classifier" not in name}, bare / "model.safetensors")
    for given, text, told in (
        (folder, "empty.txt", "empty.txt: is empty; expected one text per line"),
        (folder, "wrong.tsv", "name the column of the texts: --set data.text=COLUMN"),
        (bare, "named.tsv", "bare: the checkpoint has no head for text-classification (the weights lack classifier."),
    ):
        named = ("--set", "data.text=title") if text == "named.tsv" else ()
        line = refused(run("export", given, "--text", folder.parent / text, "--out", folder.parent / "out", *named))
        assert told in line
    save_file({f"module.{name}": weight for name, weight in weights.items()}, bare / "model.safetensors")
    code, _, err = run("export", bare, "--out", folder.parent / "out")
    assert code == 2
    assert "the weights have a wrapper's names" in err.splitlines()[-1]
    assert not list(folder.parent.glob("out*"))


def test_a_refusal_after_the_checks_leaves_no_folder(run: Run, folder: Path) -> None:
    code, _, err = run("export", folder, "--out", folder.parent / "out", "--task", "token-classification")
    assert code == 2
    assert "expected BIO tags" in err.splitlines()[-1]
    assert "tags: " not in err, "labels of whole texts are not said to be labels of words"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    (folder.parent / "out.work").mkdir()
    run("export", folder, "--out", folder.parent / "out", "--task", "token-classification")
    assert (folder.parent / "out.work").is_dir()
