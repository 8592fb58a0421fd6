"""Sentences that an export writes beside its stages: written whole, through nothing, over nobody's file."""

import os
from pathlib import Path

import pytest

from edgebert import exporting
from edgebert.compress.neutral_texts import ROWS, write_texts
from edgebert.errors import DiskError


@pytest.mark.parametrize("kind", ["link", "hard link", "link to nothing"])
def test_what_a_link_of_that_name_leads_to_stays(kind: str, tmp_path: Path) -> None:
    mine, place = tmp_path / "mine", tmp_path / "work" / exporting.TEXTS
    place.parent.mkdir()
    if kind != "link to nothing":
        mine.write_text("years of work")
    place.hardlink_to(mine) if kind == "hard link" else place.symlink_to(mine)
    write_texts(place, tmp_path / "no-tokenizer", pairs=False)
    assert not place.is_symlink()
    assert len(place.read_text().splitlines()) == ROWS
    assert (mine.read_text() if mine.exists() else "nothing") == ("nothing" if "to" in kind else "years of work")


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / exporting.TEXTS
    write_texts(place, tmp_path / "no-tokenizer", pairs=False)
    before = place.read_text()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        write_texts(place, tmp_path / "no-tokenizer", pairs=True)
    assert place.read_text() == before


def test_a_users_own_texts_in_the_folder_of_stages_stay(
    classifier_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise DiskError("stopped before PyTorch is imported")

    monkeypatch.setattr(exporting, "_export", stopped)
    mine = tmp_path / "work" / "texts.jsonl"
    mine.parent.mkdir()
    mine.write_text("years of work")
    order = exporting.Order(str(classifier_checkpoint), out=tmp_path / "out", work=mine.parent)
    with pytest.raises(DiskError, match="stopped"):
        exporting.export_bundle(order)
    assert mine.read_text() == "years of work"
    assert (mine.parent / exporting.TEXTS).is_file()
