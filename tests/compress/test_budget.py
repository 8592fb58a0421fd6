"""A time budget: refused if too short, with the shortest possible; epochs fit it; training stops at its end."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RECIPE

import edgebert
from edgebert.budgeted import Estimate, fitted
from edgebert.cli import main
from edgebert.compress.clock import Clock
from edgebert.compress.numbers import Ground, with_numbers
from edgebert.compress.pace import Pace, expected_seconds
from edgebert.duration import parse_duration, show_duration
from edgebert.errors import SettingsError
from edgebert.recipe import Recipe, read_recipe

GROUND = Ground(rows=10_003, unlabelled=0, tokens=15, layers=6, width=384)
PACE = Pace(step=0.01, forward=0.003)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45m", 2700), ("90s", 90), ("1h30m", 5400), ("2h", 7200), ("1h05m10s", 3910)]
)
def test_times_are_read(text: str, seconds: int) -> None:
    assert parse_duration(text, "--budget") == seconds


@pytest.mark.parametrize("text", ["", "0m", "45", "m", "-5m", "1.5h", "5m1h", "soon", "9" * 40 + "s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--budget is .*; give a time such as 45m, 90s or 1h30m$"):
        parse_duration(text, "--budget")


@pytest.mark.parametrize("seconds", [0, 1, 10, 61, 119, 120, 121, 3599, 3601, 4000, 90_000])
def test_a_shown_time_is_enough_and_can_be_given(seconds: float) -> None:
    assert parse_duration(show_duration(seconds), "--budget") >= seconds


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    text = RECIPE[: RECIPE.index("[finetune]")] + "[finetune]\n[distill]\nlayers = [0, 2, 5]\n"
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    return read_recipe(tmp_path / "r.toml")


def estimated(recipe: Recipe, share: float) -> tuple[Recipe, Estimate]:
    settled = with_numbers(recipe, GROUND, share)
    return settled, Estimate(expected_seconds(settled, GROUND, PACE, held_out=500), rest=60.0)


def test_epochs_are_fitted_to_a_budget(recipe: Recipe) -> None:
    whole, usual = estimated(recipe, 1.0)
    assert fitted(lambda share: estimated(recipe, share), 100_000) == (whole, usual)
    budget = int(usual.total / 2)
    half, estimate = fitted(lambda share: estimated(recipe, share), budget)
    assert 0.9 * budget < estimate.total <= budget
    assert half.finetune is not None
    assert whole.finetune is not None
    assert 1.5 < half.finetune.numbers.epochs < 2.5 < whole.finetune.numbers.epochs


def test_a_budget_that_is_too_short_is_refused_with_one_that_fits(recipe: Recipe) -> None:
    with pytest.raises(SettingsError) as caught:
        fitted(lambda share: estimated(recipe, share), 30)
    found = re.search(r"give --budget (\w+),", str(caught.value))
    assert found
    assert fitted(lambda share: estimated(recipe, share), parse_duration(found[1], "--budget"))


def test_named_numbers_are_not_fitted(recipe: Recipe) -> None:
    assert recipe.finetune is not None
    named = replace(recipe, finetune=replace(recipe.finetune, epochs=9.0), distill=None)
    after, _ = estimated(named, 0.2)
    assert after.finetune is not None
    assert after.finetune.epochs == 9.0


def test_a_stage_may_use_what_the_one_before_left() -> None:
    clock = Clock(time.monotonic() + 100, {"finetune": 10.0, "distill": 30.0})
    first, second = clock.until("finetune"), clock.until("distill")
    assert first is not None
    assert second is not None
    assert 20 < first - time.monotonic() < 25
    assert 90 < second - time.monotonic() < 100
    assert clock.until("prune") is None


def test_a_budget_without_training_is_refused(
    classifier_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    command = ["export", str(classifier_checkpoint), "--out", str(tmp_path / "out"), "--budget"]
    assert main([*command, "5m"]) == 2
    assert "--budget is for training, but nothing is trained here" in capsys.readouterr().err
    assert main([*command, "5 minutes"]) == 2
    assert "--budget is '5 minutes'; give a time such as 45m" in capsys.readouterr().err
    with pytest.raises(TypeError, match=r"^budget is int 5"):
        edgebert.export(classifier_checkpoint, budget=5)  # type: ignore[arg-type]


@pytest.mark.slow
def test_an_export_is_refused_says_what_fits_and_keeps_to_it(
    checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = RECIPE[: RECIPE.index("[finetune]")].replace("CHECKPOINT", str(checkpoint))
    path, out = tmp_path / "tiny.toml", tmp_path / "out"
    path.write_text(f'{text}[finetune]\n[quantize]\nformat = "none"\n[export]\nstages = false\n', encoding="utf-8")
    command = ["export", str(path), "--data-dir", str(data_dir), "--out", str(out), "--budget"]
    assert main([*command, "1s"]) == 2
    said = capsys.readouterr().err
    found = re.search(r"--budget is 1 seconds, but this export takes at least (\w+) .*; give --budget \1,", said)
    assert found
    assert not out.exists()
    assert not list((tmp_path / "out.work").glob("finetune*"))
    assert main([*command, found[1]]) == 0
    said = capsys.readouterr().err
    assert f"budget {found[1]}: finetune " in said
    assert "pace: already done, reused" in said
    assert main([*command, found[1]]) == 0
    assert "epochs" not in capsys.readouterr().err
