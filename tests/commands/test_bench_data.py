"""A bench of several bundles checks that the data file fits each of them before it measures the first."""

from pathlib import Path
from typing import Any

import pytest
from command_line import Run, refused
from small_bundle import write_small_bundle

from edgebert.bundle import read_document, write_manifest


def change(folder: Path, **entries: Any) -> Path:
    """Rewrite a bundle's manifest with other entries; those of `data` replace its columns."""
    manifest = read_document(folder)
    columns = {**manifest["data"]["columns"], **entries.pop("columns", {})}
    stays = {key: value for key, value in manifest.items() if key not in ("files", "manifest_sha256")}
    write_manifest(folder, {**stays, "data": {**manifest["data"], "columns": columns}, **entries})
    return folder


@pytest.fixture
def message(tmp_path: Path, run: Run) -> Any:
    """The error of a bench of two bundles on a table, before it measures."""

    def refusal(first: Path, second: Path, table: str, *more: str) -> str:
        (tmp_path / "d.tsv").write_text(table)
        baseline, out = write_small_bundle(tmp_path / "fp32"), tmp_path / "out"
        change(baseline, columns=read_document(first)["data"]["columns"])
        where = ("--data", tmp_path / "d.tsv", "--baseline", baseline, "--out", out)
        found = refused(run("bench", first, second, *where, *more))
        assert not out.exists()
        return found.replace(f"{tmp_path}/", "")

    return refusal


def test_a_column_that_the_second_bundle_lacks(tmp_path: Path, message: Any) -> None:
    first = change(write_small_bundle(tmp_path / "a"), columns={"text": "sentence"})
    second = write_small_bundle(tmp_path / "b")
    assert message(first, second, "sentence\tlabel\na\tshort\n").startswith("b: d.tsv: line 1: no column 'text'")
    assert message(second, first, "words\tlabel\na\tshort\n").startswith("b: d.tsv: line 1: no column 'text'")


def test_a_label_column_that_the_second_bundle_lacks(tmp_path: Path, message: Any) -> None:
    first = change(write_small_bundle(tmp_path / "a"), columns={"label": "length"})
    second = change(write_small_bundle(tmp_path / "b"), columns={"label": "size"})
    told = "b: d.tsv: no column 'size', which holds this bundle's labels; add it"
    assert message(first, second, "text\tlength\na\tshort\n") == told


def test_other_texts_of_one_file(tmp_path: Path, message: Any) -> None:
    first = write_small_bundle(tmp_path / "a", name="first")
    second = change(write_small_bundle(tmp_path / "b"), columns={"text": "title"})
    told = message(first, second, "text\ttitle\tlabel\na\tb\tshort\n")
    assert told.startswith("b: reads other texts of d.tsv (the columns title, label")
    assert "than first (the columns text, label)" in told


def test_another_task(tmp_path: Path, message: Any) -> None:
    first, second = write_small_bundle(tmp_path / "a", name="first"), write_small_bundle(tmp_path / "b")
    change(second, task="multi-label", head={"settings": {}, "thresholds": [0.5, 0.5]})
    told = "b: its task is multi-label, that of first is text-classification; bench bundles of one task at a time"
    assert message(first, second, "text\tlabel\na\tshort\n") == told


@pytest.mark.parametrize("more", [[], ["--data", "d.tsv"]])
def test_a_baseline_of_another_task(more: list[str], tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tshort\n")
    bundle, baseline = write_small_bundle(tmp_path / "a", name="first"), write_small_bundle(tmp_path / "fp32")
    change(baseline, task="multi-label", head={"settings": {}, "thresholds": [0.5, 0.5]})
    assert refused(run("bench", bundle, "--baseline", baseline, *more)) == (
        f"{baseline}: its task is multi-label, that of first is text-classification; "
        "give --baseline one that the bundle was made from"
    )
    assert not (tmp_path / "a.bench").exists()


@pytest.mark.parametrize("which", ["baseline", "second"])
def test_labels_that_have_nothing_in_common(which: str, tmp_path: Path, run: Run) -> None:
    (tmp_path / "d.tsv").write_text("text\tlabel\na\tshort\n")
    folders = {name: write_small_bundle(tmp_path / name, name=name) for name in ("first", "second", "baseline")}
    change(folders[which], labels=["LABEL_0", "LABEL_1"])
    given = (folders["first"], folders["second"], "--baseline", folders["baseline"], "--data", tmp_path / "d.tsv")
    told = refused(run("bench", *given))
    assert told.startswith(
        f"{folders[which]}: its labels are LABEL_0, LABEL_1, those of first are short, long; "
        "their quality cannot be compared, "
    )
    assert not (tmp_path / "first.bench").exists()


def test_a_label_that_the_second_bundle_lacks_where_that_is_refused(tmp_path: Path, message: Any) -> None:
    first, second = write_small_bundle(tmp_path / "a"), write_small_bundle(tmp_path / "b")
    change(second, labels=["long", "other"])
    told = message(first, second, "text\tlabel\na\tlong\na\tshort\n", "--strict-labels")
    assert told.startswith("b: d.tsv: line 3: 1 of 2 rows has a label that the model does not have: 'short' (1)")
