"""Pruning of heads and neurons in every family that supports it."""

from pathlib import Path

import pytest
import torch
from family_checkpoints import STANDARD
from family_models import IDS, assert_same, load, logits, random_masks, save

from edgebert.compress import arch
from edgebert.compress.data import EncodedRows
from edgebert.compress.importance import Estimator, measure_importance
from edgebert.compress.masks import masked
from edgebert.compress.prune import check_prunable, cut
from edgebert.compress.student import make_student
from edgebert.errors import SettingsError
from edgebert.runtime.encode import Encoded
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")


@pytest.mark.parametrize("family", STANDARD)
def test_the_cut_model_is_the_masked_model(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    masks = random_masks(model)
    untouched = logits(model)
    with masked(model, masks):
        expected = logits(model)
    cut(model, masks)
    assert (logits(model) - expected).abs().max().item() <= 1e-5
    assert (expected - untouched).abs().max().item() > 1e-4, "the masks changed nothing: the test would prove nothing"


@pytest.mark.parametrize("family", STANDARD)
def test_a_pruned_model_reloads_bit_for_bit(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    model = load(folders[family])
    cut(model, random_masks(model))
    shapes = arch.layer_shapes(model)
    again = load(save(model, folders[family], tmp_path))
    assert arch.layer_shapes(again) == shapes
    assert len(set(shapes)) > 1
    assert_same(again, model)
    student = make_student(again, (1,)).eval()
    assert arch.layer_shapes(load(save(student, folders[family], tmp_path / "student"))) == shapes[1:2]


@pytest.mark.parametrize("family", STANDARD)
def test_a_head_that_does_nothing_has_no_importance(family: str, folders: dict[str, Path]) -> None:
    model = load(folders[family])
    parts = arch.layer_parts(arch.encoder_layers(model)[0])
    with torch.no_grad():
        parts.attention_output.weight[:, :8] = 0.0
        parts.ffn_out.weight[:, 5] = 0.0
    rows = EncodedRows([Encoded(row.tolist(), [0] * 12) for row in IDS], [{"labels": at % 2} for at in range(6)])
    scores = measure_importance(model, rows, Estimator("fisher", 6, 0), TRAINING, model.config.pad_token_id)
    assert scores.heads[0][0].item() == scores.ffn[0][5].item() == 0.0
    assert (scores.heads[0][1:] > 0).all()


def test_pruning_bottlenecks_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(SettingsError, match="mobilebert models cannot be pruned, only those of bert, distilbert, ele"):
        check_prunable(load(folders["mobilebert"]).config)
