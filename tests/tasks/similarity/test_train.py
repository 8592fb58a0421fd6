"""Sentence similarity in training: losses compared with manual results, pairs in batches, pooling in the graph."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from family_checkpoints import FAMILIES, make_family
from manifests import facts_of

from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.student import make_student
from edgebert.compress.validation import torch_outputs
from edgebert.data.examples import Example
from edgebert.errors import DataError, SettingsError
from edgebert.exporters.onnx import export_fast, export_plain
from edgebert.exporters.parity import compare
from edgebert.recipe import DataSettings
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.similarity.predict import SentenceSimilarity
from edgebert.tasks.similarity.train import distance, multiple_negatives, relations
from edgebert.tasks.training_table import training_task

EYE = torch.eye(2)


def training(**settings: Any) -> Any:
    return training_task("similarity", settings)


def windows(lengths: list[int]) -> list[Encoded]:
    draw = np.random.default_rng(0)
    return [Encoded([2, *draw.integers(5, 20, length - 2).tolist(), 3], [0] * length) for length in lengths]


def unit(*rows: list[float]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows), dim=-1)


def test_multiple_negatives_by_hand() -> None:
    right = math.exp(20) / (math.exp(20) + 1)
    assert multiple_negatives(EYE, EYE).item() == pytest.approx(-math.log(right), abs=1e-6)
    assert multiple_negatives(EYE, EYE.flip(0)).item() == pytest.approx(-math.log(1 - right), rel=1e-4)
    left, answers = unit([1.0, 0.0], [1.0, 0.0]), unit([1.0, 1.0], [0.0, 1.0])
    near = math.exp(20 * 0.5**0.5)
    expected = -(math.log(near / (near + 1)) + math.log(1 / (near + 1))) / 2
    assert multiple_negatives(left, answers).item() == pytest.approx(expected, rel=1e-5)


def test_distances_to_the_teacher_by_hand() -> None:
    ours, theirs = unit([1.0, 0.0], [0.0, 1.0]), unit([1.0, 0.0], [1.0, 1.0])
    assert distance(ours, theirs).item() == pytest.approx((0 + 2 - 2 * 0.5**0.5) / 2, rel=1e-5)
    assert relations(ours, theirs).item() == pytest.approx(2 * 0.5 / 4, rel=1e-5)
    wider = torch.cat([theirs, torch.zeros(2, 3)], dim=1)
    assert relations(theirs, wider).item() == pytest.approx(0.0, abs=1e-12)


def test_cosines_are_not_rounded_inside_autocast() -> None:
    draw = torch.Generator().manual_seed(0)
    ours, theirs = (torch.nn.functional.normalize(torch.randn(4, 8, generator=draw), dim=-1) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16):
        inside = [multiple_negatives(ours, theirs).item(), relations(ours, theirs).item()]
    assert inside == [multiple_negatives(ours, theirs).item(), relations(ours, theirs).item()]


def batch(*scores: float, pairs: int | None = None) -> dict[str, torch.Tensor]:
    count = len(scores) if pairs is None else pairs
    rows = [[at, len(scores) + at] for at in range(count)]
    return {"pairs": torch.tensor(rows, dtype=torch.long).view(-1, 2), "scores": torch.tensor(scores)}


def embeddings(rows: int, width: int = 6, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1).requires_grad_()


def test_the_hard_loss_of_scores_is_the_squared_error_of_cosines_and_unknown_scores_have_no_say() -> None:
    vectors = unit([1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0])
    pairs = batch(5.0, 2.0, math.nan)
    loss = training(low=1.0, high=5.0).hard_loss((vectors,), pairs)
    assert loss.item() == pytest.approx(((0.5**0.5 - 1.0) ** 2 + (0.0 - 0.25) ** 2) / 2, rel=1e-5)
    nothing_known = training().hard_loss((vectors,), batch(math.nan, math.nan, math.nan))
    assert nothing_known.item() == 0.0


def test_the_hard_loss_of_pairs_that_belong_together_needs_no_scores() -> None:
    vectors = embeddings(6)
    loss = training(objective="in_batch_negatives").hard_loss((vectors,), batch(math.nan, math.nan, math.nan))
    assert loss.item() == pytest.approx(multiple_negatives(vectors[:3], vectors[3:]).item(), rel=1e-6)


@pytest.mark.parametrize("objective", ["scores", "in_batch_negatives"])
def test_a_batch_without_a_pair_has_no_hard_loss_but_a_gradient(objective: str) -> None:
    vectors = embeddings(3)
    loss = training(objective=objective).hard_loss((vectors,), batch(pairs=0))
    loss.backward()
    assert loss.item() == 0.0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_losses_are_the_mean_over_the_widths_each_normalised() -> None:
    vectors, scores = embeddings(6), batch(0.1, 0.9, 0.5)
    cuts = [torch.nn.functional.normalize(vectors[:, :width], dim=-1) for width in (2, 4, 6)]
    terms = [training().hard_loss((cut,), scores).item() for cut in cuts]
    assert training(widths=[2, 4]).hard_loss((vectors,), scores).item() == pytest.approx(np.mean(terms), rel=1e-5)
    theirs = embeddings(6, seed=1)
    terms = [relations(cut, theirs).item() for cut in cuts]
    expected = np.mean(terms) + distance(vectors, theirs).item()
    found = training(widths=[2, 4]).soft_loss((vectors,), (theirs,), scores, 2.0).item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_narrower_student_learns_the_cosines_alone() -> None:
    ours, theirs = embeddings(4, 4), embeddings(4, 6, seed=1)
    loss = training().soft_loss((ours,), (theirs,), batch(), 2.0)
    assert loss.item() == pytest.approx(relations(ours, theirs).item(), rel=1e-6)
    same = training().soft_loss((theirs,), (theirs,), batch(), 2.0)
    assert same.item() == pytest.approx(0.0, abs=1e-10)


def test_a_width_that_is_no_cut_is_refused(checkpoint: Path) -> None:
    with pytest.raises(SettingsError, match=r"head.widths \[2, 6\]: embeddings are 6 wide"):
        training(widths=[2, 6]).hard_loss((embeddings(6),), batch(0.1, 0.9, 0.5))
    model = checkpoints.load_model(checkpoint, "similarity", [])
    with pytest.raises(SettingsError, match=r"head.widths \[64\]: embeddings are 32 wide"):
        training(widths=[64]).head(model)


@pytest.fixture
def encoder(checkpoint: Path) -> TextEncoder:
    return TextEncoder(checkpoint / "tokenizer.json", 32)


def test_a_batch_holds_first_texts_then_second_ones_and_which_belong_together(encoder: TextEncoder) -> None:
    task = SentenceSimilarity(facts_of({"head": {"settings": {}}}), encoder)
    rows = [
        Example("a good film", "the play", 0.5, 1),
        Example("song", None, None, 2),
        Example("so", "was bad", None, 3),
    ]
    items = []
    for row in rows:
        (window,) = training().own_windows(task, row)
        (target,) = training().targets(task, row, [window])
        items.append({"input_ids": window.ids, "token_type_ids": window.type_ids, **target})
    made = training().collate(items, 7)
    texts = ["a good film", "song", "so", "the play", "was bad"]
    ids = [row[:length] for row, length in zip(made["input_ids"].tolist(), made["attention_mask"].sum(1), strict=True)]
    assert ids == [encoder.encode(text).ids for text in texts]
    assert made["input_ids"][1, -1] == 7
    assert made["pairs"].tolist() == [[0, 3], [2, 4]]
    assert made["scores"][0].item() == 0.5
    assert made["scores"][1].isnan()
    singles = training().collate([items[1]], 0)
    assert singles["pairs"].shape == (0, 2)


@pytest.mark.parametrize(
    ("objective", "split", "row", "says"),
    [
        ("scores", "train", Example("a", None, 0.5, 4, "d.tsv"), "d.tsv: line 4: no second text"),
        (
            "scores",
            "train",
            Example("a", "b", None, 4, "d.tsv"),
            "d.tsv: line 4: no score; expected a number from 0 to",
        ),
        ("in_batch_negatives", "validation", Example("a", "b", None, 4, "d.tsv"), "d.tsv: line 4: no score"),
    ],
)
def test_rows_that_cannot_be_learnt_or_scored_are_refused(objective: Any, split: str, row: Example, says: str) -> None:
    good = Example("a", "b", 0.5, 3, "d.tsv")
    read = training(objective=objective).read_labels
    with pytest.raises(DataError, match=f"^{re.escape(says)}"):
        read(DataSettings(), {split: [good, row]}, Path("data"), None)
    labels = read(DataSettings(), {"train": [good]}, Path("data"), ["LABEL_0"])
    assert (labels.values, labels.names) == ([], [])
    with pytest.raises(DataError, match=r"data\.label_names"):
        read(DataSettings(label_names={"0": "far"}), {"train": [good]}, Path("data"), None)


def test_training_pairs_that_belong_together_need_no_score() -> None:
    row = Example("a", "b", None, 4, "d.tsv")
    task = training(objective="in_batch_negatives")
    assert not task.read_labels(DataSettings(), {"train": [row]}, Path("d"), None).names


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_text_has_one_embedding_alone_or_padded_in_a_batch(checkpoint: Path, pooling: str) -> None:
    model = checkpoints.load_model(checkpoint, "similarity", []).eval()
    rows = windows([3, 12, 5, 7, 4, 9, 3, 20])
    kinds = SentenceSimilarity.spec.outputs
    alone, together = (
        np.stack([row[0] for row in torch_outputs(model, rows, training(pooling=pooling), kinds, batch_size=size)])
        for size in (1, 8)
    )
    assert np.allclose(alone, together, atol=1e-6)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([rows[1].ids]), attention_mask=torch.ones(1, 12)).last_hidden_state[0]
    expected = hidden.mean(0) if pooling == "mean" else hidden[0]
    assert np.allclose(alone[1], (expected / expected.norm()).numpy(), atol=1e-6)


# The chain of test_similarity_bundle.py holds the fast graph of a mean to its model.
@pytest.mark.slow
@pytest.mark.parametrize(("kind", "pooling"), [("fast", "cls"), ("plain", "cls"), ("plain", "mean")])
def test_pooling_and_normalisation_are_in_the_graph(
    shallow_checkpoint: Path, tmp_path: Path, kind: str, pooling: str
) -> None:
    model, chosen = checkpoints.load_model(shallow_checkpoint, "similarity", []).eval(), training(pooling=pooling)
    graph = tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, chosen, ["sentence_embedding"], 1, 32, graph)
        assert names == ["input_ids", "attention_mask"]
    else:
        names = export_plain(model, chosen, ["sentence_embedding"], graph)
    rows = windows([3, 32, 5, 17, 8, 2, 30, 12, 9, 4])
    session, kinds = OnnxSession(graph, 1, "CPUExecutionProvider"), SentenceSimilarity.spec.outputs
    reference = list(torch_outputs(model, rows, chosen, kinds))
    assert compare(reference, session, names, rows, kinds).max_difference <= 1e-5
    assert np.allclose([np.linalg.norm(row[0]) for row in reference], 1.0, atol=1e-5)


def test_a_saved_encoder_is_an_ordinary_one_and_reads_as_it_was(checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    model = checkpoints.load_model(checkpoint, "similarity", []).eval()
    checkpoints.save_model(model, checkpoints.load_tokenizer(checkpoint), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["BertModel"]
    ids = torch.tensor([[2, 6, 7, 3]])
    theirs = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    again = checkpoints.load_model(tmp_path, "similarity", []).eval()
    with torch.no_grad():
        rows = [one(input_ids=ids, attention_mask=torch.ones_like(ids)) for one in (model, theirs, again)]
    assert torch.equal(rows[0].last_hidden_state, rows[2].last_hidden_state)
    assert torch.allclose(rows[0].last_hidden_state, rows[1].last_hidden_state, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_encoders_of_every_family_embed(family: str, tmp_path: Path) -> None:
    folder = make_family(tmp_path / family, family, head="")
    assert checkpoints.has_head(folder, "similarity", [])
    model = checkpoints.load_model(folder, "similarity", []).eval()
    (row,) = torch_outputs(model, windows([6]), training(), SentenceSimilarity.spec.outputs)
    assert row[0].shape == (32,)
    assert np.linalg.norm(row[0]) == pytest.approx(1.0, abs=1e-5)


def test_a_narrow_student_embeds_narrower_and_reloads(checkpoint: Path, tmp_path: Path) -> None:
    teacher = checkpoints.load_model(checkpoint, "similarity", [])
    student = make_student(teacher, (0, 2), hidden_size=16).eval()
    checkpoints.save_model(student, checkpoints.load_tokenizer(checkpoint), tmp_path)
    again = checkpoints.load_model(tmp_path, "similarity", []).eval()
    first, second = (
        next(torch_outputs(one, windows([9]), training(), SentenceSimilarity.spec.outputs))[0]
        for one in (student, again)
    )
    assert first.shape == (16,)
    assert np.array_equal(first, second)
