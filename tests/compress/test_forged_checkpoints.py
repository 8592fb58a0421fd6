"""Checkpoints of a stage that another program changed and sealed again are skipped or refused; nothing is lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from edgebert.compress import resume
from edgebert.compress.report import StageReport
from edgebert.errors import DiskError
from edgebert.places import CHECKPOINTS
from edgebert.seal import seal
from edgebert.workdir import Key, Workdir


def forge(folder: Path, step: int, state: Any = None, without: str = "") -> Path:
    """A checkpoint whose seal is valid."""
    place = folder / f"checkpoint-{step}"
    place.mkdir(parents=True)
    for name in resume.FILES:
        (place / name).write_bytes(b"x")
    (place / resume.STATE).write_text(json.dumps({"global_step": step} if state is None else state))
    if without:
        (place / without).unlink()
    seal(place)
    return place


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ([], "trainer_state.json is damaged"),
        ({"global_step": 3, "best_global_step": "x"}, "trainer_state.json is damaged"),
        ({"global_step": 3, "best_global_step": -1}, "trainer_state.json is damaged"),
        ({"global_step": 3, "log_history": [1]}, "trainer_state.json is damaged"),
        ({"global_step": 3, "log_history": [{"eval_accuracy": "x"}]}, "trainer_state.json is damaged"),
        ({"global_step": 7}, "trainer_state.json is of step 7"),
        ({"global_step": 3, "best_global_step": 2}, "its best weights, checkpoint-2: files.json is missing"),
    ],
)
def test_a_state_that_no_training_wrote_is_skipped(
    state: Any, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(tmp_path, 1)
    forge(tmp_path, 3, state)
    assert resume.newest_whole(tmp_path, "tiny") == tmp_path / "checkpoint-1"
    assert f"tiny: continuing from step 1 (checkpoint-3 is damaged: {says})\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", resume.FILES)
def test_a_sealed_checkpoint_without_its_files_is_skipped(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forge(tmp_path, 3, without=name)
    assert resume.newest_whole(tmp_path, "tiny") is None
    assert f"(checkpoint-3 is damaged: {name} is missing)" in capsys.readouterr().err


def test_a_checkpoint_whose_files_lie_elsewhere_is_skipped_and_they_stay(tmp_path: Path) -> None:
    place = forge(tmp_path / "here", 3)
    for name in resume.FILES:
        (place / name).rename(tmp_path / name)
        (place / name).symlink_to(tmp_path / name)
    assert resume.newest_whole(tmp_path / "here", "tiny") is None
    assert all((tmp_path / name).is_file() for name in resume.FILES)


def test_a_folder_of_another_name_is_no_checkpoint(tmp_path: Path) -> None:
    for name in ("checkpoint-007", "checkpoint-٣", "checkpoint-x"):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-9").symlink_to(tmp_path / "checkpoint-007")
    assert resume.newest_whole(tmp_path, "tiny") is None
    assert (tmp_path / "checkpoint-007").is_dir()


@pytest.mark.parametrize("name", [CHECKPOINTS, f"{CHECKPOINTS}/{resume.UNFINISHED}", f"{CHECKPOINTS}/checkpoint-3"])
@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_stage_does_not_train_through_a_link_or_over_a_file(name: str, kind: str, tmp_path: Path) -> None:
    key, mine = Key("stage", 1, {}, {}), tmp_path / "mine"
    (mine / resume.UNFINISHED).mkdir(parents=True)
    (mine / "precious").write_text("years of work")
    done = Workdir(tmp_path / "work").run(key, lambda out: StageReport("stage", {}), trains=True)
    place = done.folder.rename(f"{done.folder}.partial") / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine") if kind == "file" else place.symlink_to(mine)

    def trains(out: Path) -> StageReport:
        raise AssertionError("trained all the same")

    with pytest.raises(DiskError) as caught:
        Workdir(tmp_path / "work").run(key, trains, trains=True)
    assert str(caught.value) == (
        f"{place}: a {kind} with a name that finished work needs; move it away or give another --work"
    )
    assert sorted(path.name for path in mine.iterdir()) == ["precious", resume.UNFINISHED]
