"""Finished stages are reused if complete, otherwise run again; killed runs leave nothing."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError

from edgebert.compress.report import StageReport
from edgebert.errors import DiskError
from edgebert.seal import SEAL, seal
from edgebert.stage_names import STAGE_KEY
from edgebert.workdir import CHECKPOINTS, REPORT, Done, Key, Workdir

FILES = ["files.json", "graph/model.onnx", "model.safetensors", STAGE_KEY, REPORT]
RAN = {"tools": {"torch": "2.12.0", "numpy": "2.3.5"}, "precision": "bf16"}


class Stage:
    """A stage that counts its runs."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, 0
        self.found: list[list[str]] = []

    def __call__(self, out: Path) -> StageReport:
        self.runs += 1
        self.found.append([name for name in names(out) if name != STAGE_KEY])
        (out / "model.safetensors").write_bytes(b"weights")
        (out / "graph").mkdir()
        (out / "graph" / "model.onnx").write_bytes(b"graph")
        return StageReport("stage", {"a": 1})

    def run(self, trains: bool = False, ran: dict[str, Any] = RAN) -> Done:
        return Workdir(self.root).run(Key("stage", 1, {"input": "x"}, ran), self, trains)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "work")


def test_a_whole_stage_is_kept(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = stage.run(), stage.run()
    assert (first.cached, second.cached, stage.runs) == (False, True, 1)
    assert first.report == second.report == StageReport("stage", {"a": 1}, ran=RAN)
    assert capsys.readouterr().err == "stage: running\nstage: already done, reused\n"
    assert names(stage.root) == [f"{first.folder.name}/{name}" for name in FILES]


@pytest.mark.parametrize(
    "key",
    [
        "[" * 100_000,
        "[]",
        '{"stage": ["stage", 1, {"input": "x"}], "ran": []}',
        '{"stage": ["stage", 1, {"input": "x"}], "ran": {"tools": null}}',
        '{"stage": ["stage", 1, {"input": "x"}], "ran": {"tools": [1]}}',
    ],
)
def test_a_key_of_another_stage_that_is_damaged_is_passed_over(
    key: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    (stage.root / "stage-aa").mkdir(parents=True)
    (stage.root / "stage-aa" / STAGE_KEY).write_text(key)
    assert not stage.run().cached
    assert capsys.readouterr().err == "stage: running\n"


@pytest.mark.parametrize("name", [STAGE_KEY, "files.json"])
def test_a_pipe_in_the_place_of_a_stages_file_is_not_waited_for(name: str, stage: Stage) -> None:
    folder = stage.run().folder
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert not stage.run().cached
    assert stage.run().cached


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: os.truncate(path, 0), "has 0 bytes, expected"),
        (Path.unlink, "is missing"),
        (lambda path: path.write_bytes(b"x" * path.stat().st_size), "has a different SHA-256"),
        (lambda path: path.with_name("more").write_bytes(b""), "more was added"),
    ],
)
def test_a_stage_that_is_not_whole_runs_again(
    damage: Callable[[Path], object], told: str, name: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stage.run().folder
    damage(folder / name)
    assert not stage.run().cached
    assert stage.run().cached
    assert names(folder) == FILES
    line = capsys.readouterr().err.splitlines()[1]
    assert line.startswith(f"edgebert: stage: {folder} is not complete (")
    assert told in line or name == "files.json"


@pytest.mark.parametrize("content", ["[]", "null", '{"a": 1}', '{"a": {"bytes": 1}}', "1" * 5000, "\udcff"])
def test_a_damaged_list_of_files_is_no_error(content: str, stage: Stage) -> None:
    folder = stage.run().folder
    (folder / "files.json").write_bytes(content.encode(errors="surrogateescape"))
    assert not stage.run().cached


@pytest.mark.parametrize(
    ("report", "says"),
    [
        (b"{", "Expecting property name"),
        (b"[]", "it holds '[]', not an object"),
        (b"\xff", "'utf-8' codec can't decode"),
        (b"{}", "key 'stage' is missing"),
        (b'{"stage": "stage", "arguments": 5}', "'arguments' is 5; expected a table"),
    ],
)
def test_a_report_that_is_damaged_and_sealed_again_runs_again(
    report: bytes, says: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = stage.run().folder
    (folder / REPORT).write_bytes(report)
    seal(folder)
    assert not stage.run().cached
    assert stage.run().cached
    line = capsys.readouterr().err.splitlines()[1]
    assert f"{folder} is not complete ({REPORT} is damaged: " in line
    assert says in line


@pytest.mark.parametrize("way", ["name", "absolute name", "link"])
def test_a_stage_reads_no_file_outside_its_folder(
    way: str, stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A seal for a file outside the folder, with the right size and hash, does not make a stage complete."""
    folder = stage.run().folder
    mine = tmp_path / "mine"
    mine.write_bytes(b"weights")
    if way == "link":
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").symlink_to(mine)
    else:
        listed = json.loads((folder / SEAL).read_text())
        name = str(mine) if way == "absolute name" else "../../mine"
        (folder / SEAL).write_text(json.dumps({name: listed["model.safetensors"], **listed}))
    assert not stage.run().cached
    assert "which is not below the folder" in capsys.readouterr().err
    assert mine.read_bytes() == b"weights"


@pytest.mark.parametrize("trains", [False, True])
def test_a_stage_begins_without_what_a_killed_run_left(trains: bool, stage: Stage) -> None:
    folder = stage.run(trains).folder
    partial = folder.rename(folder.with_name(folder.name + ".partial"))
    (partial / "tokenizer.json.4711").write_bytes(b"half")
    (partial / CHECKPOINTS).mkdir()
    (partial / CHECKPOINTS / "checkpoint").write_bytes(b"")
    stage.run(trains)
    assert stage.found[1] == ([f"{CHECKPOINTS}/checkpoint"] if trains else [])
    assert names(folder) == FILES
    assert not partial.exists()


def test_checkpoints_that_a_killed_run_left_in_a_finished_stage_go(stage: Stage) -> None:
    folder = stage.run(trains=True).folder
    (folder / CHECKPOINTS / "checkpoint-1").mkdir(parents=True)
    (folder / CHECKPOINTS / "checkpoint-1" / "half").write_bytes(b"")
    assert stage.run(trains=True).cached
    assert not (folder / CHECKPOINTS).exists()


def test_a_stage_that_fails_leaves_no_whole_folder(stage: Stage) -> None:
    def fails(out: Path) -> StageReport:
        (out / "half").write_bytes(b"")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        Workdir(stage.root).run(Key("stage", 1, {"input": "x"}, RAN), fails)
    assert not stage.run().cached
    assert stage.found == [[]]


@pytest.mark.parametrize("error", [SafetensorError, RuntimeError])
def test_a_full_disk_is_said_to_be_whoever_writes(error: type[Exception], stage: Stage) -> None:
    def fails(out: Path) -> StageReport:
        raise error("Error while serializing: I/O error: No space left on device (os error 28)")

    with pytest.raises(DiskError, match="no space left on the disk; free some or give another --work"):
        Workdir(stage.root).run(Key("stage", 1, {"input": "x"}, RAN), fails)


OTHERS = {
    "a tool of another version": ({"torch": "2.13.0"}, {}, "torch 2.12.0 (now 2.13.0)"),
    "a tool more": ({"accelerate": "1.2"}, {}, "accelerate missing (now 1.2)"),
    "another precision": ({}, {"precision": "fp32"}, "precision bf16 (now fp32)"),
    "processes": ({}, {"processes": 2}, "processes missing (now 2)"),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_stage_that_ran_with_something_else_runs_anew_and_says_so(
    other: str, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    tools, more, says = OTHERS[other]
    now = {**RAN, "tools": {**RAN["tools"], **tools}, **more}
    first = stage.run()
    capsys.readouterr()
    second = stage.run(ran=now)
    assert capsys.readouterr().err == (
        f"stage: {first.folder.name} is not used, since it ran with {says}; starting again\nstage: running\n"
    )
    assert (second.cached, second.report.ran) == (False, now)
    assert stage.run().report.ran == RAN
    assert stage.runs == 2


def test_a_half_done_training_with_other_tools_is_left_and_the_run_says_so(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    def killed(out: Path) -> StageReport:
        (out / CHECKPOINTS).mkdir()
        (out / CHECKPOINTS / "trainer_state.json").write_text("{}")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Workdir(stage.root).run(Key("stage", 1, {"input": "x"}, RAN), killed, trains=True)
    capsys.readouterr()
    now = {**RAN, "precision": "fp32"}
    stage.run(trains=True, ran=now)
    assert stage.found == [[]]
    told = capsys.readouterr().err
    assert ".partial is not used, since it ran with precision bf16 (now fp32); starting again\n" in told
    stage.run(trains=True)
    assert stage.found[1] == [f"{CHECKPOINTS}/trainer_state.json"]
    assert "is not used" not in capsys.readouterr().err


def test_another_stage_with_other_arguments_is_no_reason(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    stage.run()
    Workdir(stage.root).run(Key("stage", 1, {"input": "y"}, {**RAN, "precision": "fp32"}), stage)
    Workdir(stage.root).run(Key("stage", 2, {"input": "x"}, {**RAN, "precision": "fp32"}), stage)
    assert "is not used" not in capsys.readouterr().err
