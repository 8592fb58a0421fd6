"""Pruning: importance finds the relevant parts, and the pruned model equals the masked model and can be reloaded."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from edgebert.compress import arch, checkpoint
from edgebert.compress.data import EncodedRows
from edgebert.compress.importance import Estimator, Importance, measure_importance
from edgebert.compress.masks import Masks, masked, ones
from edgebert.compress.prune import choose, cut
from edgebert.runtime.encode import Encoded
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

LABELS = ["a", "b"]
IDS = torch.randint(5, 40, (6, 12), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(IDS)
MASK[1, 7:] = 0
MASK[3, 3:] = 0


@pytest.fixture
def model(classifier_checkpoint: Path) -> Any:
    return checkpoint.load_model(classifier_checkpoint, "text-classification", LABELS).eval()


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=MASK).logits


def rows() -> EncodedRows:
    encoded = [Encoded(row.tolist(), [0] * len(row), False) for row in IDS]
    return EncodedRows(encoded, [{"labels": label} for label in (0, 1, 0, 1, 1, 0)])


def random_scores(seed: int) -> Importance:
    random = torch.Generator().manual_seed(seed)
    return Importance(
        [torch.rand(4, generator=random) for _ in range(3)], [torch.rand(64, generator=random) for _ in range(3)]
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("head_sparsity", "ffn_sparsity"), [(0.25, 0.25), (0.5, 0.75), (0.9, 0.9), (0.0, 0.3)])
def test_the_cut_model_is_the_masked_model(model: Any, seed: int, head_sparsity: float, ffn_sparsity: float) -> None:
    masks = choose(random_scores(seed), head_sparsity, ffn_sparsity, ffn_multiple=8)
    with masked(model, masks):
        expected = logits(model)
    untouched = logits(model)
    cut(model, masks)
    assert (logits(model) - expected).abs().max().item() <= 1e-5
    assert (expected - untouched).abs().max().item() > 1e-4, "the masks changed nothing: the test would prove nothing"


def test_cut_matrices_are_smaller_and_uneven(model: Any) -> None:
    before = sum(p.numel() for p in model.parameters())
    masks = choose(random_scores(1), 0.5, 0.5, ffn_multiple=4)
    cut(model, masks)
    shapes = arch.layer_shapes(model)
    assert [shape.heads for shape in shapes] == [int(mask.sum()) for mask in masks.heads]
    assert len({shape.ffn for shape in shapes}) > 1
    assert sum(p.numel() for p in model.parameters()) < before


def test_a_pruned_folder_reloads_bit_for_bit(model: Any, classifier_checkpoint: Path, tmp_path: Path) -> None:
    cut(model, choose(random_scores(2), 0.5, 0.5, ffn_multiple=4))
    checkpoint.save_model(model, checkpoint.load_tokenizer(classifier_checkpoint), tmp_path)
    again = checkpoint.load_model(tmp_path, "text-classification", LABELS).eval()
    assert torch.equal(logits(again), logits(model))
    assert arch.layer_shapes(again) == arch.layer_shapes(model)
    assert load_file(tmp_path / "model.safetensors").keys() == model.state_dict().keys() - {
        "bert.embeddings.position_ids"
    }


def test_pruning_twice_works_and_every_layer_keeps_something(model: Any) -> None:
    cut(model, choose(random_scores(3), 0.5, 0.5, ffn_multiple=8))
    left = [torch.rand(shape.heads) for shape in arch.layer_shapes(model)]
    neurons = [torch.rand(shape.ffn) for shape in arch.layer_shapes(model)]
    cut(model, choose(Importance(left, neurons), 0.95, 0.95, ffn_multiple=8))
    assert all(shape.heads >= 1 and shape.ffn >= 1 for shape in arch.layer_shapes(model))
    assert torch.isfinite(logits(model)).all()


def test_choice_keeps_the_most_important_of_the_whole_model() -> None:
    scores = Importance(
        [torch.tensor([9.0, 8.0]), torch.tensor([1.0, 7.0])], [torch.arange(8.0), torch.arange(8.0) + 100]
    )
    masks = choose(scores, 0.25, 0.5, ffn_multiple=1)
    assert [mask[0].tolist() for mask in masks.heads] == [[1.0, 1.0], [0.0, 1.0]]
    assert [int(mask.sum()) for mask in masks.ffn] == [1, 8]


@pytest.mark.parametrize("method", ["first-order", "fisher"])
def test_importance_is_the_gradient_of_the_masks_taken_example_by_example(model: Any, method: Any) -> None:
    scores = measure_importance(model, rows(), Estimator(method, 6, 0, batch_size=4), TRAINING)
    expected = torch.zeros(4)
    for at in range(6):
        masks = ones(model, requires_grad=True)
        with masked(model, masks):
            out = model(input_ids=IDS[at : at + 1], attention_mask=torch.ones(1, 12, dtype=torch.long)).logits
        torch.nn.functional.cross_entropy(out, torch.tensor([rows()[at]["labels"]])).backward()
        gradient = masks.heads[1].grad
        assert gradient is not None
        expected += gradient[0].abs() if method == "first-order" else gradient[0].pow(2)
    assert torch.allclose(scores.heads[1], expected / 6, rtol=1e-3)


def test_a_head_that_does_nothing_has_no_importance(model: Any) -> None:
    parts = arch.layer_parts(arch.encoder_layers(model)[0])
    with torch.no_grad():
        parts.attention_output.weight[:, :8] = 0.0
        parts.ffn_out.weight[:, 5] = 0.0
    scores = measure_importance(model, rows(), Estimator("fisher", 6, 0), TRAINING)
    assert scores.heads[0][0].item() == 0.0
    assert scores.ffn[0][5].item() == 0.0
    assert (scores.heads[0][1:] > 0).all()


def test_masks_leave_no_trace(model: Any) -> None:
    before = logits(model)
    zero = Masks([torch.zeros(1, 4) for _ in range(3)], [torch.zeros(1, 64) for _ in range(3)])
    with masked(model, zero):
        assert not torch.equal(logits(model), before)
    assert torch.equal(logits(model), before)
