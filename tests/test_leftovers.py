"""The next run removes files and folders that killed processes left beside a target, and nothing else."""

import os
import time
from pathlib import Path

import pytest

from edgebert.bundle import check_replaceable, check_writable, replacing, write_manifest
from edgebert.errors import DiskError
from edgebert.leftovers import MARKER, remove_folder
from edgebert.stage_bundles import remove_bundles
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


@pytest.mark.parametrize(
    "name", [".out.partial", ".out.old", "out.stages/.0-baseline.partial", "out.stages/.1-graph.old"]
)
@pytest.mark.parametrize("kind", ["link", "file", "folder that EdgeBERT did not write"])
def test_another_in_the_place_of_a_leftover_is_refused_before_any_work(name: str, kind: str, tmp_path: Path) -> None:
    place, mine = tmp_path / name, tmp_path / "mine"
    for folder in (mine, place.parent):
        folder.mkdir(exist_ok=True)
    (mine / "thesis.txt").write_text("years of work")
    if kind == "link":
        place.symlink_to(mine)
    else:
        place.write_text("years of work") if kind == "file" else mine.rename(place)
    says = f"{place}: a {kind}, where an export keeps unfinished work; move it away or give another --out"
    with pytest.raises(DiskError) as caught:
        check_replaceable(tmp_path / "out")
    assert (str(caught.value), caught.value.exit_code) == (says, 2)
    if place.parent != tmp_path:
        with pytest.raises(DiskError, match="where an export keeps unfinished work"):
            remove_bundles(place.parent, keep=())
    assert (place if kind == "file" else place / "thesis.txt").read_text() == "years of work"


def test_an_unfinished_bundle_says_whose_it_is_and_the_finished_one_does_not_hold_that(tmp_path: Path) -> None:
    with replacing(tmp_path / "out") as folder:
        assert names(folder) == [MARKER]
        check_replaceable(tmp_path / "out")
        write_manifest(folder, {})
        assert MARKER not in (folder / "manifest.json").read_text()
    assert names(tmp_path / "out") == ["manifest.json"]


def test_a_folder_that_is_half_removed_still_says_whose_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / ".out.old"
    (left / "openvino").mkdir(parents=True)
    for name in ("a.txt", "z.txt", "openvino/model.xml", MARKER):
        (left / name).touch()

    def killed(folder: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            remove_folder(left)
    assert MARKER in names(left)
    check_replaceable(tmp_path / "out")
    remove_folder(left)
    assert names(tmp_path) == []
