"""Temporary files that killed processes left beside a target go with the next one; nothing else goes."""

import os
import time
from pathlib import Path

import pytest

from edgebert.bundle import check_writable
from edgebert.whole_file import write_whole

OWN = "0123456789abcdef"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def aged(path: Path, seconds: float) -> Path:
    path.write_bytes(b"half")
    os.utime(path, (time.time() - seconds,) * 2)
    return path


def test_a_probe_of_a_killed_run_goes_at_once(tmp_path: Path) -> None:
    aged(tmp_path / f".out.{OWN}.probe", 0)
    check_writable(tmp_path / "out")
    assert names(tmp_path) == []


def test_a_half_written_file_goes_once_nobody_can_be_writing_it(tmp_path: Path) -> None:
    old, young = f".r.json.{OWN}.partial", f".r.json.{OWN[::-1]}.partial"
    aged(tmp_path / old, 1000)
    aged(tmp_path / young, 10)
    write_whole(tmp_path / "r.json", "{}")
    assert names(tmp_path) == [young, "r.json"]
    assert (tmp_path / "r.json").read_text() == "{}"


@pytest.mark.parametrize(
    "name", [f".other.{OWN}.probe", ".out.mine.probe", f"out.{OWN}.probe", f".out.{OWN}.probe.bak"]
)
def test_files_of_other_names_stay(name: str, tmp_path: Path) -> None:
    aged(tmp_path / name, 1000)
    check_writable(tmp_path / "out")
    assert names(tmp_path) == [name]


def test_links_and_folders_stay_and_are_not_followed(tmp_path: Path) -> None:
    kept = aged(tmp_path / "kept", 1000)
    (tmp_path / f".out.{OWN}.probe").symlink_to(kept)
    (tmp_path / f".out.{OWN[::-1]}.probe").mkdir()
    check_writable(tmp_path / "out")
    assert len(names(tmp_path)) == 3
    assert kept.read_bytes() == b"half"
