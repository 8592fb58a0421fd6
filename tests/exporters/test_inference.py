"""Exported graphs answer as PyTorch: all lengths, with and without padding, pruning and segments."""

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.compress.validation import torch_outputs
from edgebert.errors import ParityError
from edgebert.exporters.inference import InferenceModel
from edgebert.exporters.onnx import export_fast, export_plain, fast_module
from edgebert.exporters.parity import Parity, compare, require_parity
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import Outputs
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.text_classification.predict import TextClassification
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

CPU = "CPUExecutionProvider"
KINDS = TextClassification.spec.outputs
OUTPUTS = list(KINDS)


def model_of(folder: Path, pruned: bool) -> Any:
    model = checkpoint.load_model(folder, "text-classification", ["a", "b"]).eval()
    if pruned:
        random = torch.Generator().manual_seed(5)
        scores = Importance(
            [torch.rand(4, generator=random) for _ in range(3)], [torch.rand(64, generator=random) for _ in range(3)]
        )
        cut(model, choose(scores, 0.5, 0.5, ffn_multiple=4))
    return model


def texts(lengths: list[int], segments: int = 1) -> list[Encoded]:
    random = np.random.default_rng(0)
    return [
        Encoded(
            [2, *random.integers(5, 40, length - 2).tolist(), 3],
            [0] * (length // 2) + [segments - 1] * (length - length // 2),
            False,
        )
        for length in lengths
    ]


def batch_of(length: int, segments: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and segments of three texts; the second half is padding."""
    ids = torch.randint(5, 40, (3, length), generator=torch.Generator().manual_seed(length))
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    mask[1, max(1, length // 2) :] = 0
    types[:, length // 2 :] = segments - 1
    return ids, mask, types


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("segments", [1, 2])
def test_the_rewritten_module_equals_the_model_at_every_length(
    classifier_checkpoint: Path, pruned: bool, segments: int
) -> None:
    model = model_of(classifier_checkpoint, pruned)
    fast = fast_module(model, TRAINING, segments, 32)
    for length in range(2, 33):
        ids, mask, types = batch_of(length, segments)
        with torch.no_grad():
            expected = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
            (found,) = fast(ids, mask, types if segments == 2 else None)
        assert found.shape == expected.shape
        assert (found - expected).abs().max().item() <= 1e-5, f"length {length}"


class Rows(nn.Module):
    """A head that returns the rows of every token and the mask that it received."""

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> tuple[Tensor, ...]:
        return hidden, attention_mask


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("segments", [1, 2])
def test_a_head_that_reads_every_row_gets_every_row_of_the_encoder(
    classifier_checkpoint: Path, pruned: bool, segments: int
) -> None:
    model = model_of(classifier_checkpoint, pruned)
    fast = InferenceModel(model, Rows(), "all", segments, 32).eval()
    for length in (2, 3, 8, 17, 32):
        ids, mask, types = batch_of(length, segments)
        with torch.no_grad():
            expected = model.bert(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
            found, seen = fast(ids, mask, types if segments == 2 else None)
        assert found.shape == expected.shape == (3, length, 32)
        assert torch.equal(seen, mask)
        assert (found - expected)[mask.bool()].abs().max().item() <= 1e-5, f"length {length}"


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "pruned", "segments"), [("fast", True, 1), ("fast", False, 2), ("plain", True, 2)])
def test_the_graph_equals_the_model_alone_and_in_padded_batches(
    classifier_checkpoint: Path, tmp_path: Path, kind: str, pruned: bool, segments: int
) -> None:
    model = model_of(classifier_checkpoint, pruned)
    graph = tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, TRAINING, OUTPUTS, segments, 32, graph)
    else:
        names = export_plain(model, TRAINING, OUTPUTS, graph)
    assert [output.name for output in onnx.load(graph).graph.output] == ["logits"]
    rows = texts([3, 32, 5, 17, 8, 2, 30, 12, 9, 4], segments)
    parity = compare(list(torch_outputs(model, rows, TRAINING, KINDS)), OnnxSession(graph, 1, CPU), names, rows, KINDS)
    assert parity.max_difference <= 1e-5
    assert parity.agreement == 1.0
    assert ("token_type_ids" in names) == (segments == 2 or kind == "plain")


@pytest.mark.slow
@pytest.mark.usefixtures("traced_anew")
def test_the_same_model_gives_the_same_graph_bytes(classifier_checkpoint: Path, tmp_path: Path) -> None:
    held = []
    for name in ("one", "two"):
        model = model_of(classifier_checkpoint, True)
        held.append(weakref.ref(model.bert.embeddings.word_embeddings.weight))
        export_fast(model, TRAINING, OUTPUTS, 1, 32, tmp_path / name)
        del model
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    gc.collect()
    assert [weight() for weight in held] == [None, None]  # findings/torch-onnx-export-keeps-weights.sh


@pytest.mark.slow
def test_a_graph_of_another_model_is_refused(classifier_checkpoint: Path, tmp_path: Path) -> None:
    model = model_of(classifier_checkpoint, False)
    names = export_fast(model, TRAINING, OUTPUTS, 1, 32, tmp_path / "model.onnx")
    rows = texts([5, 9])
    reference = list(torch_outputs(model, rows, TRAINING, KINDS))
    with torch.no_grad():
        model.classifier.bias += 0.001
    session = OnnxSession(tmp_path / "model.onnx", 1, CPU)
    require_parity(compare(reference, session, names, rows, KINDS), "fast graph")
    moved = compare(list(torch_outputs(model, rows, TRAINING, KINDS)), session, names, rows, KINDS)
    with pytest.raises(ParityError, match="differ from PyTorch's by"):
        require_parity(moved, "fast graph")


@pytest.mark.parametrize(("difference", "largest"), [(float("nan"), 1.0), (1.1e-5, 0.2), (1.1e-4, 10.0)])
def test_parity_refuses_what_is_not_a_number_or_too_far(difference: float, largest: float) -> None:
    with pytest.raises(ParityError):
        require_parity(Parity(difference, 1.0, 4, largest), "graph")


@pytest.mark.parametrize(
    ("graph", "remedy"),
    [("fast graph", 'Try export.graph = "plain" (--set export.graph=plain)'), ("plain graph", "report the model's")],
)
def test_a_plain_graph_is_not_advised_where_it_is_the_one(graph: str, remedy: str) -> None:
    with pytest.raises(ParityError) as refusal:
        require_parity(Parity(1.0, 1.0, 4, 1.0), graph)
    assert remedy in str(refusal.value)


def test_parity_allows_large_outputs_the_rounding_of_their_size() -> None:
    require_parity(Parity(9e-5, 1.0, 4, 10.0), "graph")


@pytest.mark.slow
def test_the_shortest_inputs_that_a_recipe_may_ask_for_are_exported(
    classifier_checkpoint: Path, tmp_path: Path
) -> None:
    model = model_of(classifier_checkpoint, False)
    names = export_fast(model, TRAINING, OUTPUTS, 1, 8, tmp_path / "model.onnx")
    rows = texts([2, 5, 8])
    session = OnnxSession(tmp_path / "model.onnx", 1, CPU)
    require_parity(
        compare(list(torch_outputs(model, rows, TRAINING, KINDS)), session, names, rows, KINDS), "fast graph"
    )


class Handed:
    """Gives two figures a text and one a token; padding is answered with nonsense.

    In texts of `length` tokens the figure of the first token is `moved`, and `turned` swaps the two of a text.
    """

    batching = ANY_LENGTHS

    def __init__(self, length: int = 0, moved: float = 0.0, turned: bool = False) -> None:
        self.length, self.moved, self.turned = length, moved, turned

    def run(self, inputs: dict[str, Any]) -> Outputs:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        sums = (ids * mask).sum(1).astype(np.float32)
        whole = np.stack([sums, 2 * sums], axis=1)[:, :: -1 if self.turned else 1]
        rows = np.where(mask == 1, ids, 1e9).astype(np.float32)
        rows[mask.sum(1) == self.length, 0] += self.moved
        return whole, rows


ROWS = texts([4, 9, 6])
# What `Handed` gives when nothing is moved.
GIVEN: list[Outputs] = [
    (np.array([sum(row.ids), 2 * sum(row.ids)], dtype=np.float32), np.array(row.ids, dtype=np.float32)) for row in ROWS
]


def parity_with(session: Handed) -> Parity:
    return compare(GIVEN, session, ["input_ids", "attention_mask"], ROWS, {"whole": False, "rows": True})


LARGEST = max(float(np.abs(output).max()) for outputs in GIVEN for output in outputs)


def test_every_output_is_compared_and_no_padding() -> None:
    assert parity_with(Handed()) == Parity(0.0, 1.0, 3, LARGEST)
    assert parity_with(Handed(length=6, moved=0.5)) == Parity(0.5, 1.0, 3, LARGEST)
    assert parity_with(Handed(turned=True)) == Parity(max(float(whole[0]) for whole, _ in GIVEN), 0.0, 3, LARGEST)


def test_agreement_is_the_share_of_windows_whose_outputs_all_agree() -> None:
    # The first token's figure is the largest of that text now.
    assert parity_with(Handed(length=9, moved=100.0)) == Parity(100.0, pytest.approx(2 / 3), 3, LARGEST)
