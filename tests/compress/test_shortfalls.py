"""Signs of bad training are reported with the setting to change; good training gives no message."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RECIPE

from edgebert.cli import main
from edgebert.compress.shortfalls import Record, Standard, shortfalls
from edgebert.recipe import TrainSettings

STANDARD = Standard("finetune", TrainSettings(), "accuracy", rows=1000, learns_labels=True, guess_loss=4.34)
RAISE = "raise finetune.epochs (now 3) or finetune.learning_rate (now 4e-05)"


def record(metrics: list[float], losses: list[float], stopped_early: bool = False) -> Record:
    """A training of 60 steps with evenly spaced evaluations and losses."""
    pairs = [[(60 * (at + 1) // len(values), value) for at, value in enumerate(values)] for values in (metrics, losses)]
    return Record(*pairs, steps=60, stopped_early=stopped_early)


@pytest.mark.parametrize(
    ("metrics", "stopped", "says"),
    [
        ([0.30, 0.55, 0.647], False, "from 0.5500 to 0.6470"),
        ([0.30, 0.50, 0.60, 0.70, 0.71, 0.72], False, "from 0.7000 to 0.7200"),
        ([0.30, 0.91, 0.915], False, ""),
        ([0.30, 0.70, 0.69], False, ""),
        ([0.30, 0.40, 0.70, 0.70], False, ""),
        ([0.30, 0.55, 0.647], True, ""),
    ],
    ids=["rises", "rises slowly", "levels off", "falls", "stands still", "stopped by patience"],
)
def test_a_metric_that_still_rises_is_said(metrics: list[float], stopped: bool, says: str) -> None:
    lines = shortfalls(record(metrics, [4.0, 3.0, 2.5], stopped), STANDARD, max(metrics))
    assert len(lines) == bool(says)
    assert all(f"still rose when training ended, {says}" in line and RAISE in line for line in lines)


def test_a_row_or_two_of_a_small_split_are_no_rise() -> None:
    rising = record([0.70, 0.72, 0.74], [4.0, 2.0, 1.0])
    assert shortfalls(rising, replace(STANDARD, rows=50), 0.74) == []
    assert shortfalls(rising, replace(STANDARD, rows=500), 0.74) != []


@pytest.mark.parametrize(
    ("losses", "says"),
    [
        ([4.3, 3.3, 2.5], "the training loss still fell when training ended, from 3.3 to 2.5 in the last third"),
        ([4.3, 2.6, 2.5], ""),
        ([4.3, 1.9, 1.5], ""),
        ([4.4, 4.4, 4.3], "the training data was hardly learnt: its loss ended at 4.3, and guessing by the labels'"),
        ([4.4, float("nan"), float("nan")], "the training data was hardly learnt: its loss ended at nan"),
    ],
    ids=["falls", "levels off", "small already", "never fell", "diverged"],
)
def test_the_loss_speaks_if_one_evaluation_cannot(losses: list[float], says: str) -> None:
    lines = shortfalls(record([0.5], losses), STANDARD, 0.5)
    assert len(lines) == bool(says)
    assert all(line.startswith(says) and RAISE in line for line in lines)


def test_a_student_far_below_its_teacher_is_said() -> None:
    student = replace(STANDARD, table="distill", learns_labels=False, guess_loss=None, teacher=0.9)
    level = record([0.7, 0.8, 0.8], [3.0, 2.0, 1.0])
    (line,) = shortfalls(level, student, 0.8)
    assert line.startswith(
        "the student has accuracy 0.8000 on validation, its teacher 0.9000; raise distill.epochs (now"
    )
    assert shortfalls(level, student, 0.86) == []
    assert shortfalls(level, replace(student, teacher=None), 0.8) == []
    assert shortfalls(level, replace(student, rows=10), 0.8) == []


def recipe(folder: Path, checkpoint: Path, finetune: str, distill: str) -> Path:
    head = RECIPE[: RECIPE.index("[finetune]")].replace("CHECKPOINT", str(checkpoint))
    path = folder / "tiny.toml"
    path.write_text(
        f"{head}[finetune]\nbatch_size = 8\n{finetune}[distill]\nlayers = [0]\nbatch_size = 8\n{distill}"
        '[quantize]\nformat = "none"\n[export]\nstages = false\n'
    )
    return path


def test_an_export_says_what_its_trainings_lacked_and_says_it_again(
    checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    distill = "epochs = 0.1\nlearning_rate = 1e-8\nhidden_size = 16\n"
    path = recipe(tmp_path, checkpoint, "epochs = 6.0\nlearning_rate = 3e-3\n", distill)
    command = ["export", str(path), "--data-dir", str(data_dir), "--out", str(tmp_path / "out")]
    assert main(command) == 0
    first = capsys.readouterr()
    assert main([*command, "--set", "export.parity_samples=8"]) == 0
    again = capsys.readouterr()
    said = [line for line in first.err.splitlines() if "the student has accuracy" in line]
    assert len(said) == 1
    assert said[0].startswith("edgebert: distill: the student has accuracy 0.")
    assert "raise distill.epochs (now 0.1) or distill.learning_rate (now 1e-08)" in said[0]
    assert "distill: already done, reused" in again.err
    assert all(said[0].removeprefix("edgebert: ") in text for text in (first.out, again.err, again.out))
    assert "advice" not in first.out
    assert main([*command, "--set", "export.parity_samples=8"]) == 0
    assert said[0].removeprefix("edgebert: ") in capsys.readouterr().out
    # The teacher has learnt its data: nothing is said of it.
    assert not any(line.startswith("edgebert: finetune: ") and "raise" in line for line in first.err.splitlines())


def test_an_export_says_that_the_teacher_learnt_nothing(
    checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recipe(tmp_path, checkpoint, "epochs = 1.0\nlearning_rate = 1e-8\n", "epochs = 0.1\n")
    out = tmp_path / "out"
    assert main(["export", str(path), "--data-dir", str(data_dir), "--out", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    (stage, *_) = json.loads(captured.out)["stages"]
    (line,) = stage["metrics"]["advice"]
    assert "hardly learnt" in line
    assert "raise finetune.epochs (now 1) or finetune.learning_rate (now 1e-08)" in line
    assert f"finetune: {line}" in captured.err
