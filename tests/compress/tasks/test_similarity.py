"""Sentence similarity on the workstation: losses by hand, pairs in batches, pooling in the graph, the whole chain."""

import json
import math
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import NASTY, NEUTRAL, NICE
from family_checkpoints import FAMILIES, make_family

import edgebert
from edgebert.bundle import read_manifest
from edgebert.cli import main
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.data import encode_rows, read_task_data
from edgebert.compress.student import make_student
from edgebert.compress.tasks import workstation_half
from edgebert.compress.tasks.similarity import distance, multiple_negatives, relations
from edgebert.compress.validation import torch_outputs
from edgebert.errors import DataError, SettingsError
from edgebert.examples import Example
from edgebert.exporters.onnx import export_fast, export_plain
from edgebert.exporters.parity import compare
from edgebert.recipe import DataSettings, read_recipe
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.session import OnnxSession
from edgebert.runtime.tasks.similarity import SentenceModel, SentenceSimilarity, Settings

ROOT = Path(__file__).parents[3]
STSB = ROOT.parent / "shared" / "data" / "stsb"
EYE = torch.eye(2)


def half(**settings: Any) -> Any:
    return workstation_half("similarity", settings)


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
    loss = half(low=1.0, high=5.0).hard_loss((vectors,), pairs)
    assert loss.item() == pytest.approx(((0.5**0.5 - 1.0) ** 2 + (0.0 - 0.25) ** 2) / 2, rel=1e-5)
    nothing_known = half().hard_loss((vectors,), batch(math.nan, math.nan, math.nan))
    assert nothing_known.item() == 0.0


def test_the_hard_loss_of_pairs_that_belong_together_needs_no_scores() -> None:
    vectors = embeddings(6)
    loss = half(objective="in_batch_negatives").hard_loss((vectors,), batch(math.nan, math.nan, math.nan))
    assert loss.item() == pytest.approx(multiple_negatives(vectors[:3], vectors[3:]).item(), rel=1e-6)


@pytest.mark.parametrize("objective", ["scores", "in_batch_negatives"])
def test_a_batch_without_a_pair_has_no_hard_loss_but_a_gradient(objective: str) -> None:
    vectors = embeddings(3)
    loss = half(objective=objective).hard_loss((vectors,), batch(pairs=0))
    loss.backward()
    assert loss.item() == 0.0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_losses_are_the_mean_over_the_widths_each_normalised() -> None:
    vectors, scores = embeddings(6), batch(0.1, 0.9, 0.5)
    cuts = [torch.nn.functional.normalize(vectors[:, :width], dim=-1) for width in (2, 4, 6)]
    terms = [half().hard_loss((cut,), scores).item() for cut in cuts]
    assert half(widths=[2, 4]).hard_loss((vectors,), scores).item() == pytest.approx(np.mean(terms), rel=1e-5)
    theirs = embeddings(6, seed=1)
    terms = [relations(cut, theirs).item() for cut in cuts]
    expected = np.mean(terms) + distance(vectors, theirs).item()
    found = half(widths=[2, 4]).soft_loss((vectors,), (theirs,), scores, 2.0).item()
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_narrower_student_learns_the_cosines_alone() -> None:
    ours, theirs = embeddings(4, 4), embeddings(4, 6, seed=1)
    loss = half().soft_loss((ours,), (theirs,), batch(), 2.0)
    assert loss.item() == pytest.approx(relations(ours, theirs).item(), rel=1e-6)
    same = half().soft_loss((theirs,), (theirs,), batch(), 2.0)
    assert same.item() == pytest.approx(0.0, abs=1e-10)


def test_a_width_that_is_no_cut_is_refused(checkpoint: Path) -> None:
    with pytest.raises(SettingsError, match=r"head.widths \[2, 6\]: embeddings are 6 wide"):
        half(widths=[2, 6]).hard_loss((embeddings(6),), batch(0.1, 0.9, 0.5))
    model = checkpoints.load_model(checkpoint, "similarity", [])
    with pytest.raises(SettingsError, match=r"head.widths \[64\]: embeddings are 32 wide"):
        half(widths=[64]).head(model)


@pytest.fixture
def encoder(checkpoint: Path) -> TextEncoder:
    return TextEncoder(checkpoint / "tokenizer.json", 32)


def test_a_batch_holds_first_texts_then_second_ones_and_which_belong_together(encoder: TextEncoder) -> None:
    task = SentenceSimilarity({"head": {"settings": {}}}, encoder)
    rows = [
        Example("a good film", "the play", 0.5, 1),
        Example("song", None, None, 2),
        Example("so", "was bad", None, 3),
    ]
    items = []
    for row in rows:
        (window,) = half().training_windows(task, row)
        (target,) = half().targets(task, row, [window])
        items.append({"input_ids": window.ids, "token_type_ids": window.type_ids, **target})
    made = half().collate(items, 7)
    texts = ["a good film", "song", "so", "the play", "was bad"]
    ids = [row[:length] for row, length in zip(made["input_ids"].tolist(), made["attention_mask"].sum(1), strict=True)]
    assert ids == [encoder.encode(text).ids for text in texts]
    assert made["input_ids"][1, -1] == 7
    assert made["pairs"].tolist() == [[0, 3], [2, 4]]
    assert made["scores"][0].item() == 0.5
    assert made["scores"][1].isnan()
    singles = half().collate([items[1]], 0)
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
    read = half().read_labels
    with pytest.raises(DataError, match=f"^{re.escape(says)}"):
        read(DataSettings(), {split: [good, row]}, Path("data"), None, Settings(objective))
    labels = read(DataSettings(), {"train": [good]}, Path("data"), ["LABEL_0"], Settings(objective))
    assert (labels.values, labels.names) == ([], [])
    with pytest.raises(DataError, match=r"data\.label_names"):
        read(DataSettings(label_names={"0": "far"}), {"train": [good]}, Path("data"), None, Settings(objective))


def test_training_pairs_that_belong_together_need_no_score() -> None:
    row = Example("a", "b", None, 4, "d.tsv")
    assert (
        not half().read_labels(DataSettings(), {"train": [row]}, Path("d"), None, Settings("in_batch_negatives")).names
    )


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_text_has_one_embedding_alone_or_padded_in_a_batch(checkpoint: Path, pooling: str) -> None:
    model = checkpoints.load_model(checkpoint, "similarity", []).eval()
    rows = windows([3, 12, 5, 7, 4, 9, 3, 20])
    kinds = SentenceSimilarity.OUTPUTS
    alone, together = (
        np.stack([row[0] for row in torch_outputs(model, rows, half(pooling=pooling), kinds, batch_size=size)])
        for size in (1, 8)
    )
    assert np.allclose(alone, together, atol=1e-6)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([rows[1].ids]), attention_mask=torch.ones(1, 12)).last_hidden_state[0]
    expected = hidden.mean(0) if pooling == "mean" else hidden[0]
    assert np.allclose(alone[1], (expected / expected.norm()).numpy(), atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("kind", ["fast", "plain"])
def test_pooling_and_normalisation_are_in_the_graph(checkpoint: Path, tmp_path: Path, pooling: str, kind: str) -> None:
    model, chosen = checkpoints.load_model(checkpoint, "similarity", []).eval(), half(pooling=pooling)
    graph = tmp_path / "model.onnx"
    if kind == "fast":
        names = export_fast(model, chosen, ["sentence_embedding"], chosen.GRAPH_SEGMENTS, 32, graph)
        assert names == ["input_ids", "attention_mask"]
    else:
        names = export_plain(model, chosen, ["sentence_embedding"], graph)
    rows = windows([3, 32, 5, 17, 8, 2, 30, 12, 9, 4])
    session, kinds = OnnxSession(graph, 1, "CPUExecutionProvider"), SentenceSimilarity.OUTPUTS
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
    (row,) = torch_outputs(model, windows([6]), half(), SentenceSimilarity.OUTPUTS)
    assert row[0].shape == (32,)
    assert np.linalg.norm(row[0]) == pytest.approx(1.0, abs=1e-5)


def test_a_narrow_student_embeds_narrower_and_reloads(checkpoint: Path, tmp_path: Path) -> None:
    teacher = checkpoints.load_model(checkpoint, "similarity", [])
    student = make_student(teacher, (0, 2), hidden_size=16).eval()
    checkpoints.save_model(student, checkpoints.load_tokenizer(checkpoint), tmp_path)
    again = checkpoints.load_model(tmp_path, "similarity", []).eval()
    first, second = (
        next(torch_outputs(one, windows([9]), half(), SentenceSimilarity.OUTPUTS))[0] for one in (student, again)
    )
    assert first.shape == (16,)
    assert np.array_equal(first, second)


RECIPE = """
name = "likeness"
task = "similarity"
[model]
source = "CHECKPOINT"
[data]
train = "train.tsv"
validation = "validation.tsv"
test = "test.tsv"
unlabelled = ["more.txt"]
text = "one"
text_pair = "two"
label = "score"
max_length = 32
[head]
high = 5.0
widths = [8, 16]
[finetune]
epochs = 10.0
learning_rate = 3e-3
batch_size = 16
[distill]
layers = [0, 2]
epochs = 5.0
learning_rate = 2e-3
batch_size = 16
loss = { hard = 0.5 }
[prune]
ffn_multiple = 8
samples = 64
[prune.recover]
epochs = 2.0
learning_rate = 1e-3
batch_size = 16
[quantize]
samples = 16
[export]
stages = false
"""


def text(draw: random.Random, nice: bool) -> str:
    words = draw.choices(NEUTRAL, k=draw.randint(1, 6)) + draw.choices(NICE if nice else NASTY, k=2)
    draw.shuffle(words)
    return " ".join(words)


def pair(draw: random.Random) -> str:
    """Two texts, and a high score where both are nice or both are nasty."""
    first, second = draw.random() < 0.5, draw.random() < 0.5
    score = 3.0 + 2.0 * draw.random() if first == second else 2.0 * draw.random()
    return f"{text(draw, first)}\t{text(draw, second)}\t{score:.2f}"


def write_pairs(folder: Path) -> None:
    draw = random.Random(5)
    for name, count in (("train", 192), ("validation", 64), ("test", 64)):
        lines = ["one\ttwo\tscore", *(pair(draw) for _ in range(count))]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "more.txt").write_text("\n".join(text(draw, True) for _ in range(32)) + "\n")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The bundle of the whole chain; its data lies beside it."""
    folder = tmp_path_factory.mktemp("likeness")
    write_pairs(folder)
    (folder / "likeness.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "likeness.toml"), "--out", str(folder / "bundle")]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def model(exported: Path) -> SentenceModel:
    opened = edgebert.load(exported)
    assert isinstance(opened, SentenceModel)
    return opened


def test_the_whole_chain_gives_a_bundle_that_embeds(exported: Path, model: SentenceModel) -> None:
    manifest = read_manifest(exported)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["task"], manifest["labels"], manifest["segments"]) == ("similarity", [], 2)
    assert (manifest["inputs"], manifest["outputs"]) == (["input_ids", "attention_mask"], ["sentence_embedding"])
    assert manifest["head"]["settings"]["widths"] == [8, 16]
    assert manifest["precision"] == "int8-dynamic"
    assert (manifest["metrics"]["test"]["metric"], manifest["metrics"]["test"]["n"]) == ("spearman", 64)
    assert manifest["metrics"]["test"]["value"] > 0.6
    assert sum(layer["ffn"] for layer in manifest["layers"]) < 128
    alike, unlike = model.similarity("good lovely film", ["a great and warm song", "the dull cold meal"])[0]
    assert alike > unlike


def test_cut_embeddings_still_tell_texts_apart(exported: Path, model: SentenceModel) -> None:
    data = read_task_data(read_recipe(exported.with_name("likeness.toml")), exported.parent)
    firsts, seconds = [row.text for row in data.test], [row.text_pair for row in data.test]
    for width in (8, 16, None):
        cosines = (model.embed(firsts, width) * model.embed(seconds, width)).sum(1).tolist()
        assert half().score("spearman", [row.label for row in data.test], cosines) > 0.6


def test_the_pruned_folder_reloads_as_the_model_that_the_bundle_came_from(exported: Path) -> None:
    (recovered,) = exported.with_name("bundle.work").glob("recover-*")
    (graph,) = exported.with_name("bundle.work").glob("graph-*")
    report = json.loads((graph / "stage-report.json").read_text())["metrics"]["parity"]
    assert report["max_difference"] <= 1e-4
    assert report["texts"] == 128
    pytorch = checkpoints.load_model(recovered, "similarity", []).eval()
    encoder = TextEncoder(recovered / "tokenizer.json", 32)
    rows = [encoder.encode("a good film"), encoder.encode("the story was dull and so cold")]
    session = OnnxSession(graph / "model.onnx", 1, "CPUExecutionProvider")
    reference = list(torch_outputs(pytorch, rows, half(), SentenceSimilarity.OUTPUTS))
    names = ["input_ids", "attention_mask"]
    assert compare(reference, session, names, rows, SentenceSimilarity.OUTPUTS).max_difference <= 1e-5


def test_the_command_line_predicts(
    exported: Path, model: SentenceModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = "a good film", "the warm meal"
    # As a list, like the command: both texts in one batch, of which dynamic INT8 takes one scale.
    score = model([(first, second)])[0].score
    assert main(["predict", str(exported), first, "--text-pair", second]) == 0
    assert capsys.readouterr().out == f"{score:.4f}\t{first} | {second}\n"
    assert main(["predict", str(exported), first, "--text-pair", second, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"text": [first, second], "score": score, "truncated": False}]
    assert main(["predict", str(exported), first]) == 0
    assert re.fullmatch(rf"32 numbers: (-?\d\.\d{{4}} ){{4}}…\t{first}\n", capsys.readouterr().out)
    assert main(["predict", str(exported), first, "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer["embedding"] == model(first).embedding
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"text": first, "text_pair": second}) + "\n")
    assert main(["predict", str(exported), "--input", str(tmp_path / "pairs.jsonl")]) == 0
    assert capsys.readouterr().out.startswith(f"{score:.4f}\t")


def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported), "--data", str(exported.with_name("test.tsv")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == read_manifest(exported)["metrics"]["test"]


def test_pairs_are_benched_at_their_own_lengths_and_at_a_fixed_one(exported: Path) -> None:
    from edgebert.measure.bench import read_workload
    from edgebert.measure.process import run_child

    workload = read_workload(exported.with_name("test.tsv"), read_manifest(exported))
    job = {"bundle": str(exported), "runtime": None, "threads": 1, "scenario": "single_stream", "warmup": 1}
    job |= {"samples": 4, "batch_size": 4}
    natural = run_child({**job, "length": 0, "texts": workload.inputs[:4]})
    fixed = run_child({**job, "length": 8, "ids": [[5] * 8]})
    assert [len(answer["latencies_ns"]) for answer in (natural, fixed)] == [4, 4]


QUANTIZE = """
name = "q"
task = "similarity"
[model]
source = "CHECKPOINT"
[data]
unlabelled = ["text.txt"]
max_length = 32
[export]
stages = false
"""


def test_an_encoder_is_taken_as_it_is_where_nothing_is_to_be_trained(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a good film\nthe story is dull\n" * 8)
    (tmp_path / "q.toml").write_text(QUANTIZE.replace("CHECKPOINT", str(checkpoint)))
    assert (
        main(["export", str(tmp_path / "q.toml"), "--out", str(tmp_path / "q"), "--set", "quantize.format=none"]) == 0
    )
    manifest = read_manifest(tmp_path / "q")
    assert [stage["stage"] for stage in manifest["stages"]] == ["graph"]
    assert (manifest["metrics"], manifest["segments"]) == ({}, 1)
    found = edgebert.load(tmp_path / "q").embed(["a good film"])[0]
    pytorch = checkpoints.load_model(checkpoint, "similarity", []).eval()
    window = TextEncoder(checkpoint / "tokenizer.json", 32).encode("a good film")
    (expected,) = torch_outputs(pytorch, [window], half(), SentenceSimilarity.OUTPUTS)
    assert np.allclose(found, expected[0], atol=1e-5)


def test_a_fine_tuning_table_is_followed_where_needed_and_not_where_never(checkpoint: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    recipe = RECIPE.replace("CHECKPOINT", str(checkpoint)).split("[distill]")[0] + "[export]\nstages = false\n"
    (tmp_path / "r.toml").write_text(recipe)
    more = ["--set", "finetune.epochs=0.2", "--set", "quantize.format=none"]
    for when, stages in (("needed", ["finetune", "graph"]), ("never", ["graph"])):
        out = tmp_path / when
        assert (
            main(["export", str(tmp_path / "r.toml"), "--out", str(out), *more, "--set", f"finetune.when={when}"]) == 0
        )
        assert [stage["stage"] for stage in read_manifest(out)["stages"]] == stages


def test_pairs_that_belong_together_are_learnt_without_scores(checkpoint: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    draw = random.Random(2)
    kinds = [draw.random() < 0.5 for _ in range(192)]
    (tmp_path / "train.tsv").write_text("one\ttwo\n" + "".join(f"{text(draw, k)}\t{text(draw, k)}\n" for k in kinds))
    recipe = RECIPE.replace("CHECKPOINT", str(checkpoint)).replace(
        "high = 5.0", 'high = 5.0\nobjective = "in_batch_negatives"'
    )
    (tmp_path / "r.toml").write_text(recipe.split("[distill]")[0] + "[export]\nstages = false\n")
    more = ["--set", "quantize.format=none", "--set", "finetune.epochs=8"]
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "out"), *more]) == 0
    assert read_manifest(tmp_path / "out")["metrics"]["test"]["value"] > 0.5


def test_rows_of_pairs_and_single_texts_become_one_training_row_each(checkpoint: Path, tmp_path: Path) -> None:
    write_pairs(tmp_path)
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    data = read_task_data(read_recipe(tmp_path / "r.toml"), tmp_path)
    rows = encode_rows([*data.train, *data.unlabelled], data, TextEncoder(checkpoint / "tokenizer.json", 32))
    assert len(rows) == 192 + 32
    assert [rows[at]["second"] is None for at in (0, 191, 192, 223)] == [False, False, True, True]


@pytest.mark.skipif(not STSB.is_dir(), reason=f"the STS benchmark is not at {STSB}")
def test_the_recipe_of_the_sts_benchmark_reads_it() -> None:
    recipe = read_recipe(ROOT / "export" / "stsb.toml")
    recipe = replace(recipe, data=replace(recipe.data, unlabelled=()))
    data = read_task_data(recipe, STSB.parent)
    assert (len(data.train), len(data.validation), len(data.test)) == (5749, 1500, 1379)
    assert (data.segments, data.label_names, recipe.metric) == (2, [], "spearman")
    assert {min(row.label for row in data.train), max(row.label for row in data.train)} == {0.0, 5.0}
