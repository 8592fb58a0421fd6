"""ALBERT: layers that share weights, students with fewer of these layers, entries of its config."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import make_family
from family_models import IDS, MASK, assert_same, change_config, load, logits, save

from edgebert.compress import arch, checkpoint
from edgebert.compress.distill import Objective
from edgebert.compress.student import make_student
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import DistillLoss
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")
FOLLOWED: list[dict[str, Any]] = [
    {"num_hidden_groups": 2, "num_hidden_layers": 5},
    {"num_hidden_groups": 3},
    {"embedding_size": 32},
    {"hidden_act": "relu"},
    {"type_vocab_size": 1},
]


@pytest.mark.parametrize("entries", FOLLOWED, ids=lambda entries: ",".join(entries))
def test_entries_that_change_the_forward_pass_are_followed(
    entries: dict[str, Any], folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = make_family(tmp_path / "model", "albert", **entries)
    checkpoint.check_folder(folder)
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    ours = load(folder)
    assert (logits(ours) - logits(theirs)).abs().max().item() <= 1e-6
    assert (logits(ours) - logits(load(folders["albert"]))).abs().max().item() > 1e-4
    assert_same(load(save(ours, folder, tmp_path / "saved")), ours)


def test_layers_of_one_group_are_one_module(tmp_path: Path) -> None:
    layers = arch.encoder_layers(load(make_family(tmp_path, "albert", num_hidden_groups=2, num_hidden_layers=5)))
    assert len(layers) == 5
    assert [layer is layers[0] for layer in layers] == [True, True, True, False, False]


def test_a_student_is_the_group_repeated_less_often(folders: dict[str, Path]) -> None:
    teacher = load(folders["albert"])
    student = make_student(teacher, (0, 2)).eval()
    shorter = transformers.AutoModelForSequenceClassification.from_pretrained(folders["albert"], num_hidden_layers=2)
    assert (logits(student) - logits(shorter.eval())).abs().max().item() <= 1e-6
    assert not torch.allclose(logits(student), logits(teacher), atol=1e-4)


def test_relations_are_those_of_the_layer_that_is_named(folders: dict[str, Path]) -> None:
    teacher = load(folders["albert"])
    batch = {"input_ids": IDS, "attention_mask": MASK, "token_type_ids": torch.zeros_like(IDS)}
    batch["labels"] = torch.full((6,), -100)
    losses = {}
    for layers in ((0,), (0, 1), (0, 2)):
        student = make_student(teacher, layers).eval()
        objective = Objective(teacher, student, layers, DistillLoss(soft=0.0, hidden=0.0, relation=1.0), TRAINING)
        losses[layers] = objective(student, batch).item()
        objective.detach(student)
    # The first layers of both are the same, and so are the first two; the third reads other rows.
    assert losses[(0,)] == pytest.approx(0.0, abs=1e-6)
    assert losses[(0, 1)] == pytest.approx(0.0, abs=1e-6)
    assert losses[(0, 2)] > 1e-6


def test_groups_that_the_config_leaves_out_are_refused(tmp_path: Path) -> None:
    folder = make_family(tmp_path, "albert", num_hidden_groups=3)
    for more in ({"num_hidden_groups": 2}, {}):
        change_config(folder, ("num_hidden_groups",), **more)
        stated = more.get("num_hidden_groups", 1)
        with pytest.raises(CheckpointError, match=f"num_hidden_groups is {stated}, but the weights have 3"):
            checkpoint.check_folder(folder)


def test_several_groups_keep_all_their_layers(tmp_path: Path) -> None:
    teacher = load(make_family(tmp_path, "albert", num_hidden_groups=3))
    with pytest.raises(SettingsError, match="the teacher's 3 layers share the weights of 3 groups"):
        make_student(teacher, (0, 2))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"inner_group_num": 2}, "inner_group_num is 2; supported: 1"),
    ({"inner_group_num": 0}, "inner_group_num is 0; expected a whole number from 1"),
    ({"num_hidden_groups": 4}, "num_hidden_groups is 4, more than num_hidden_layers, 3"),
    ({"num_hidden_groups": 2}, "num_hidden_groups is 2, but the weights have 1"),
    ({"classifier_dropout_prob": 2}, "classifier_dropout_prob is 2; expected a number from 0 to 1"),
]


@pytest.mark.parametrize(("entries", "says"), REFUSED)
def test_entries_that_no_model_can_have_are_refused(
    entries: dict[str, Any], says: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["albert"], tmp_path / "model"))
    change_config(folder, **entries)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.check_folder(folder)
