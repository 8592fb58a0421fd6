"""Temporary files beside a file: always new, never through a link, never over an existing file."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest

from edgebert.bundle import check_no_link, check_writable
from edgebert.errors import DiskError
from edgebert.measure.results import write_json
from edgebert.whole_file import write_whole


def test_a_file_is_written_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    write_whole(tmp_path / "a.txt", "ä\r\n", newline="")
    assert (tmp_path / "a.txt").read_bytes() == "ä\r\n".encode()
    check_writable(tmp_path / "b.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", [".out.probe", "out.partial", ".out.partial", ".out.0000.probe", ".out.0000.partial"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_stands_under_a_temporary_name_is_left_alone(
    name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "0000")
    mine = tmp_path / name
    if kind == "link":
        mine.symlink_to(tmp_path / "mine")
        mine = tmp_path / "mine"
    mine.write_text("keep")
    for act in (check_writable, lambda path: write_json(path, {"a": 1})):
        with contextlib.suppress(DiskError):
            act(tmp_path / "out")
    assert mine.read_text() == "keep"


def test_a_link_in_the_place_of_a_result_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    (tmp_path / "result.json").symlink_to(tmp_path / "mine")
    write_json(tmp_path / "result.json", {"a": 1})
    assert (tmp_path / "mine").read_text() == "keep"
    assert not (tmp_path / "result.json").is_symlink()


def test_a_file_that_cannot_be_finished_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*paths: Any) -> None:
        raise OSError(28, "No space left on device")

    write_whole(tmp_path / "a.txt", "before")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "a.txt", "after")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "before"


def test_raw_samples_are_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "raw").symlink_to(tmp_path / "mine")
    with pytest.raises(DiskError, match="raw: a link to another folder; remove it or give another --out"):
        check_no_link(tmp_path / "raw")
    check_no_link(tmp_path / "mine")
    check_no_link(tmp_path / "nothing")
