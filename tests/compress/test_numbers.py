"""Numbers that a recipe omits are chosen by its data and the model's size; numbers in the recipe are kept."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import RECIPE

from edgebert.cli import main
from edgebert.compress.numbers import RULES, Ground, choices, left_out, rate_of, settle, stage_settings, with_numbers
from edgebert.recipe import TrainSettings, read_recipe
from edgebert.tasks.table import TASKS
from edgebert.training_tables import Numbers

EXPORT = Path(__file__).parents[2] / "export"
MINILM, BERT_BASE, BERT_LARGE, BERT_TINY = (6, 384), (12, 768), (24, 1024), (2, 128)


def finetuned(rows: int, shape: tuple[int, int] = MINILM, tokens: int = 15, **named: float) -> Numbers:
    settings = TrainSettings(**named)  # type: ignore[arg-type]
    return settle(settings, RULES["finetune"], rows, rate_of(*shape), tokens).numbers


def test_the_rule_for_ten_thousand_rows() -> None:
    chosen = finetuned(10_003)
    assert (chosen.epochs, chosen.learning_rate, chosen.batch_size, chosen.warmup_share) == (4.0, 1.6e-4, 32, 0.1)
    assert (chosen.evaluations_per_epoch, chosen.patience) == (2, 3)
    student = settle(TrainSettings(), RULES["distill"], 10_003, rate_of(3, 384)).numbers
    assert (student.epochs, student.learning_rate) == (8.0, 2.5e-4)


@pytest.mark.parametrize(
    ("shape", "rate"), [(MINILM, 1.6e-4), (BERT_BASE, 4e-5), (BERT_LARGE, 1.7e-5), (BERT_TINY, 5e-4), ((12, 384), 1e-4)]
)
def test_a_smaller_model_has_a_higher_rate(shape: tuple[int, int], rate: float) -> None:
    assert finetuned(10_003, shape).learning_rate == pytest.approx(rate, rel=0.02)


def test_few_rows_are_read_more_often_in_small_batches() -> None:
    chosen = finetuned(200)
    assert (chosen.epochs, chosen.learning_rate, chosen.batch_size) == (40.0, 1.6e-4, 16)
    assert (chosen.evaluations_per_epoch, chosen.patience) == (1, 14)


def test_many_rows_have_a_lower_rate() -> None:
    chosen = finetuned(67_349)
    assert chosen.epochs == 2
    assert 4e-5 < chosen.learning_rate < 6e-5
    assert chosen.evaluations_per_epoch == 4


def test_long_texts_have_small_batches() -> None:
    assert finetuned(8000, tokens=200).batch_size == 16


def test_what_a_table_names_is_kept() -> None:
    named = finetuned(10_003, learning_rate=1e-5, patience=0, batch_size=8)
    assert (named.learning_rate, named.patience, named.batch_size) == (1e-5, 0, 8)
    assert named.epochs == 2.0  # twice through, since 1,250 steps of 8 rows are one epoch
    assert finetuned(10_003, epochs=20.0).learning_rate == pytest.approx(3.2e-5, rel=0.02)


def test_a_table_with_epochs_and_rate_has_the_fixed_numbers() -> None:
    assert finetuned(200, epochs=3.0, learning_rate=4e-5) == Numbers()


@pytest.mark.parametrize("path", sorted(EXPORT.glob("*.toml")), ids=lambda path: path.stem)
def test_recorded_recipes_train_as_they_did_and_those_to_fill_in_have_every_number(path: Path) -> None:
    recipe = read_recipe(path)
    few = Ground(rows=100, unlabelled=0, tokens=10, layers=2, width=64)
    after = with_numbers(recipe, few)
    assert all(None not in vars(settings).values() for settings in stage_settings(after).values())
    if path.stem not in TASKS or path.stem in ("fill-mask", "rerank"):
        assert not any(map(left_out, stage_settings(recipe).values()))
        assert choices(recipe, after, few) == {}
        before = {stage: settings.numbers for stage, settings in stage_settings(recipe).items()}
        assert before == {stage: settings.numbers for stage, settings in stage_settings(after).items()}
    else:
        assert set(choices(recipe, after, few)) == set(stage_settings(recipe))


def test_a_head_that_is_not_new_is_trained_slowly() -> None:
    recipe = read_recipe(EXPORT / "stsb.toml")
    recipe = replace(recipe, finetune=replace(recipe.finetune, epochs=None, learning_rate=None))  # type: ignore[type-var]
    ground = Ground(rows=10_000, unlabelled=0, tokens=15, layers=6, width=384, has_new_head=False)
    new, old = (with_numbers(recipe, replace(ground, has_new_head=new)).finetune for new in (True, False))
    assert new is not None
    assert old is not None
    assert new.numbers.learning_rate == pytest.approx(4 * old.numbers.learning_rate)


def without_numbers(folder: Path, checkpoint: Path) -> Path:
    text = RECIPE[: RECIPE.index("[finetune]")].replace("CHECKPOINT", str(checkpoint))
    text += '[finetune]\nbatch_size = 8\n[distill]\nlayers = [0]\nepochs = 2.0\n[quantize]\nformat = "none"\n'
    path = folder / "tiny.toml"
    path.write_text(f"{text}[export]\nstages = false\n", encoding="utf-8")
    return path


def test_an_export_says_and_keeps_what_it_chose(
    checkpoint: Path, data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", str(without_numbers(tmp_path, checkpoint)), "--data-dir", str(data_dir), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().err
    (line,) = [line for line in said.splitlines() if line.startswith("finetune: epochs")]
    assert re.match(r"finetune: epochs 40, learning_rate 0.0005, warmup_share 0.1, ", line)
    assert "chosen for 192 rows of about" in line
    assert "an encoder of 3 layers, 32 wide" in line
    stages = {stage["stage"]: stage for stage in json.loads((out / "manifest.json").read_text())["stages"]}
    chosen = stages["finetune"]["metrics"]["chosen"]
    assert (chosen["epochs"], chosen["for"]["rows"]) == (40.0, 192)
    assert "batch_size" not in chosen
    assert stages["finetune"]["arguments"]["epochs"] == 40.0
    assert stages["finetune"]["arguments"]["batch_size"] == 8
    assert "epochs" not in stages["distill"]["metrics"]["chosen"]
    # The numbers are a part of the stage's key: the same ones are found again, however they come.
    named = ["--set", "finetune.epochs=40.0", "--set", "finetune.learning_rate=0.0005"]
    named += ["--set", "finetune.warmup_share=0.1", "--set", "finetune.patience=14"]
    assert main([*command, *named, "--set", "distill.epochs=1.0"]) == 0
    said = capsys.readouterr().err
    assert "finetune: already done, reused" in said
    assert "distill: running" in said
    assert "finetune: epochs" not in said
