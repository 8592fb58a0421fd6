"""Sentence similarity with all stages: embeddings, the command line, pairs without scores."""

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import NASTY, NEUTRAL, NICE
from recipes import splits, whole_chain

import edgebert
from edgebert.bundle import read_document, read_manifest
from edgebert.cli import main
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.data import encode_rows, read_task_data
from edgebert.compress.validation import torch_outputs
from edgebert.exporters.parity import compare
from edgebert.recipe import read_recipe
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.sessions.onnxruntime import OnnxSession
from edgebert.tasks.similarity.predict import SentenceModel, SentenceSimilarity
from edgebert.tasks.training_table import training_task

ROOT = Path(__file__).parents[3]
STSB = ROOT.parent / "shared" / "data" / "stsb"


TRAINING = training_task("similarity", {})
RECIPE = whole_chain(
    "likeness",
    "similarity",
    splits("tsv", unlabelled=["more.txt"], text="one", text_pair="two", label="score", max_length=32),
    head={"high": 5.0, "widths": [8, 16]},
    finetune={"epochs": 10.0, "learning_rate": 3e-3, "batch_size": 16},
    distill={"epochs": 5.0, "batch_size": 16, "loss": {"hard": 0.5}},
    prune={"recover": {"batch_size": 16}},
    quantize={"samples": 16},
    export={"stages": False},
)


def text(draw: random.Random, nice: bool) -> str:
    words = draw.choices(NEUTRAL, k=draw.randint(1, 6)) + draw.choices(NICE if nice else NASTY, k=2)
    draw.shuffle(words)
    return " ".join(words)


def pair(draw: random.Random) -> str:
    """Two texts, with a high score if both are nice or both are nasty."""
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
    """The bundle of all stages; its data is beside it."""
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


@pytest.mark.slow
def test_the_whole_chain_gives_a_bundle_that_embeds(exported: Path, model: SentenceModel) -> None:
    manifest = read_document(exported)
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


@pytest.mark.slow
def test_cut_embeddings_still_tell_texts_apart(exported: Path, model: SentenceModel) -> None:
    data = read_task_data(read_recipe(exported.with_name("likeness.toml")), exported.parent)
    firsts, seconds = [row.text for row in data.test], [row.text_pair for row in data.test]
    for width in (8, 16, None):
        cosines = (model.embed(firsts, width) * model.embed(seconds, width)).sum(1).tolist()
        assert TRAINING.score("spearman", [row.label for row in data.test], cosines) > 0.6


@pytest.mark.slow
@pytest.mark.parametrize(("settings", "width"), [(("head.widths=[8, 32]",), 32), (("distill.hidden_size=16",), 16)])
def test_widths_that_no_embedding_has_are_refused_before_anything_is_trained(
    settings: tuple[str, ...], width: int, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = [word for setting in settings for word in ("--set", setting)]
    assert main(["export", str(exported.with_name("likeness.toml")), "--out", str(tmp_path / "wide"), *changed]) == 2
    assert f"embeddings are {width} wide; give narrower widths only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
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
    reference = list(torch_outputs(pytorch, rows, TRAINING, SentenceSimilarity.spec.outputs))
    names = ["input_ids", "attention_mask"]
    assert compare(reference, session, names, rows, SentenceSimilarity.spec.outputs).max_difference <= 1e-5


@pytest.mark.slow
def test_the_command_line_predicts(
    exported: Path, model: SentenceModel, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, second = "a good film", "the warm meal"
    score = model((first, second)).score
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


@pytest.mark.slow
def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported), "--data", str(exported.with_name("test.tsv")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == read_document(exported)["metrics"]["test"]


@pytest.mark.slow
def test_pairs_are_benched_at_their_own_lengths_and_at_a_fixed_one(exported: Path) -> None:
    from edgebert.measure.process import run_child
    from edgebert.measure.workload import read_workload

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


@pytest.mark.slow
def test_an_encoder_is_taken_as_it_is_where_nothing_is_to_be_trained(shallow_checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("a good film\nthe story is dull\n" * 8)
    (tmp_path / "q.toml").write_text(QUANTIZE.replace("CHECKPOINT", str(shallow_checkpoint)))
    assert (
        main(["export", str(tmp_path / "q.toml"), "--out", str(tmp_path / "q"), "--set", "quantize.format=none"]) == 0
    )
    manifest = read_document(tmp_path / "q")
    assert [stage["stage"] for stage in manifest["stages"]] == ["graph"]
    assert (manifest["metrics"], manifest["segments"]) == ({}, 1)
    found = edgebert.load(tmp_path / "q").embed(["a good film"])[0]
    pytorch = checkpoints.load_model(shallow_checkpoint, "similarity", []).eval()
    window = TextEncoder(shallow_checkpoint / "tokenizer.json", 32).encode("a good film")
    (expected,) = torch_outputs(pytorch, [window], TRAINING, SentenceSimilarity.spec.outputs)
    assert np.allclose(found, expected[0], atol=1e-5)


@pytest.mark.slow
def test_a_fine_tuning_table_is_followed_where_needed_and_not_where_never(
    shallow_checkpoint: Path, tmp_path: Path
) -> None:
    write_pairs(tmp_path)
    recipe = RECIPE.replace("CHECKPOINT", str(shallow_checkpoint)).split("[distill]")[0] + "[export]\nstages = false\n"
    (tmp_path / "r.toml").write_text(recipe)
    more = ["--set", "finetune.epochs=0.2", "--set", "quantize.format=none"]
    for when, stages in (("needed", ["finetune", "graph"]), ("never", ["graph"])):
        out = tmp_path / when
        assert (
            main(["export", str(tmp_path / "r.toml"), "--out", str(out), *more, "--set", f"finetune.when={when}"]) == 0
        )
        assert [stage["stage"] for stage in read_document(out)["stages"]] == stages


@pytest.mark.slow
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
    assert read_document(tmp_path / "out")["metrics"]["test"]["value"] > 0.5


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
