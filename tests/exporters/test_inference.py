"""Exported graphs answer as PyTorch does: every length, padded or not, pruned or not, one segment or two."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgebert.compress import checkpoint
from edgebert.compress.importance import Importance
from edgebert.compress.prune import choose, cut
from edgebert.errors import ParityError
from edgebert.exporters.inference import InferenceClassifier
from edgebert.exporters.onnx import export_fast, export_plain
from edgebert.exporters.parity import Parity, compare, reference_logits, require_parity
from edgebert.runtime.encode import Encoded
from edgebert.runtime.session import OnnxSession

CPU = "CPUExecutionProvider"


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


@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize("segments", [1, 2])
def test_the_rewritten_module_equals_the_model_at_every_length(
    classifier_checkpoint: Path, pruned: bool, segments: int
) -> None:
    model = model_of(classifier_checkpoint, pruned)
    fast = InferenceClassifier(model, segments, 32).eval()
    for length in range(2, 33):
        ids = torch.randint(5, 40, (3, length), generator=torch.Generator().manual_seed(length))
        mask, types = torch.ones_like(ids), torch.zeros_like(ids)
        mask[1, max(1, length // 2) :] = 0
        types[:, length // 2 :] = segments - 1
        with torch.no_grad():
            expected = model(input_ids=ids, attention_mask=mask, token_type_ids=types).logits
            found = fast(ids, mask, types if segments == 2 else None)
        assert (found - expected).abs().max().item() <= 1e-5, f"length {length}"


@pytest.mark.parametrize(("kind", "pruned", "segments"), [("fast", True, 1), ("fast", False, 2), ("plain", True, 2)])
def test_the_graph_equals_the_model_alone_and_in_padded_batches(
    classifier_checkpoint: Path, tmp_path: Path, kind: str, pruned: bool, segments: int
) -> None:
    model = model_of(classifier_checkpoint, pruned)
    graph = tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, "text-classification", segments, 32, graph)
    else:
        names = export_plain(model, "text-classification", graph)
    rows = texts([3, 32, 5, 17, 8, 2, 30, 12, 9, 4], segments)
    parity = compare(reference_logits(model, rows), OnnxSession(graph, 1, CPU), names, rows)
    assert parity.max_difference <= 1e-5
    assert parity.agreement == 1.0
    assert ("token_type_ids" in names) == (segments == 2 or kind == "plain")


def test_the_same_model_gives_the_same_graph_bytes(classifier_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export_fast(model_of(classifier_checkpoint, True), "text-classification", 1, 32, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_graph_of_another_model_is_refused(classifier_checkpoint: Path, tmp_path: Path) -> None:
    model = model_of(classifier_checkpoint, False)
    names = export_fast(model, "text-classification", 1, 32, tmp_path / "model.onnx")
    rows = texts([5, 9])
    reference = reference_logits(model, rows)
    with torch.no_grad():
        model.classifier.bias += 0.001
    session = OnnxSession(tmp_path / "model.onnx", 1, CPU)
    require_parity(compare(reference, session, names, rows), "fast graph")
    moved = compare(reference_logits(model, rows), session, names, rows)
    with pytest.raises(ParityError, match="differ from PyTorch's by"):
        require_parity(moved, "fast graph")


@pytest.mark.parametrize("difference", [float("nan"), 1.1e-4])
def test_parity_refuses_what_is_not_a_number_or_too_far(difference: float) -> None:
    with pytest.raises(ParityError):
        require_parity(Parity(difference, 1.0, 4), "graph")
