"""Reranking in training: grades of files, losses, heads with one output, and all stages."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import NASTY, NEUTRAL, NICE
from manifests import facts_of
from recipes import splits, whole_chain

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.data import read_task_data
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.recipe import DataSettings, ModelSettings, Recipe
from edgebert.tasks.rerank.predict import Rerank, RerankModel
from edgebert.tasks.rerank.spec import SPEC
from edgebert.tasks.training_table import training_task

TRAINING = training_task("rerank")
DATA = DataSettings(text="query", text_pair="document", label="grade", validation="v.tsv")


def rows(*grades: float | None, query: str = "q") -> list[Example]:
    return [Example(query, f"d{line}", grade, line, "d.tsv") for line, grade in enumerate(grades, 2)]


def batch_of(*grades: float | None, **settings: Any) -> dict[str, torch.Tensor]:
    training = training_task("rerank", settings)
    task = Rerank(facts_of({"labels": [], "segments": 2, "head": {"settings": settings}, "data": {}}), None)
    return {"labels": torch.tensor([training.targets(task, row, [])[0]["labels"] for row in rows(*grades)])}


def test_a_grade_has_no_labels() -> None:
    labels = TRAINING.read_labels(DATA, {"train": rows(0.5), "validation": rows(0.0, 1.0)}, Path("data"), ["LABEL_0"])
    assert (labels.values, labels.names, labels.extra) == ([], [], {})


@pytest.mark.parametrize(
    ("data", "train", "validation", "told"),
    [
        (DATA, rows(0.5, None), [], "d.tsv: line 3: no grade; expected a number of at least 0"),
        (DATA, [Example("q", None, 1.0, 2, "d.tsv")], [], "d.tsv: line 2: no document; name its column"),
        (
            DATA,
            rows(0.0, 2.0),
            [],
            "d.tsv: line 3: the grade is 2, above head.high, 1; set head.high to the best grade",
        ),
        (DATA, rows(1.0, 1.0), [], "d.tsv: line 2: every grade is 1, so no order can be learnt; add documents"),
        (DataSettings(), rows(0.5), [], "data.text_pair is '', but a document is read with its query"),
        (DataSettings(text_pair="b", label_names={"0": "a"}), rows(0.5), [], "data.label_names is {'0': 'a'}; grades"),
        (DATA, rows(0.5, 1.0), rows(1.0, 1.0), "data/v.tsv: no query has documents of different grades"),
        (DATA, rows(0.5, 1.0), [*rows(1.0), *rows(0.0, query="r")], "give several documents of each query"),
    ],
)
def test_data_that_says_nothing_of_an_order_is_refused(
    data: DataSettings, train: list[Example], validation: list[Example], told: str
) -> None:
    with pytest.raises(DataError) as refusal:
        TRAINING.read_labels(data, {"train": train, "validation": validation}, Path("data"), None)
    assert told in str(refusal.value)


def test_a_head_that_is_kept_may_learn_from_its_teacher_alone() -> None:
    TRAINING.read_labels(DATA, {"train": rows(1.0, 1.0), "validation": rows(0.0, 1.0)}, Path("data"), ["LABEL_0"])


def test_texts_to_check_a_checkpoint_on_may_have_the_tasks_own_columns(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("query;document\na film;a meal\n")
    (tmp_path / "usual.tsv").write_text("text\ttext_pair\na story\ta song\n")
    data = DataSettings(unlabelled=("own.csv", "usual.tsv"), text_pair="text_pair")
    read = read_task_data(Recipe("r", "rerank", ModelSettings("x"), data=data), tmp_path)
    assert [(row.text, row.text_pair) for row in read.unlabelled] == [("a film", "a meal"), ("a story", "a song")]
    (tmp_path / "other.tsv").write_text("ask\ttell\na\tb\n")
    other = Recipe("r", "rerank", ModelSettings("x"), data=replace(data, unlabelled=("other.tsv",)))
    with pytest.raises(DataError, match=r"other.tsv: line 1: no column 'text'; the header has: 'ask', 'tell'"):
        read_task_data(other, tmp_path)


def test_targets_are_scaled_to_the_range() -> None:
    assert batch_of(1.0, 2.0, 3.0, low=1.0, high=3.0)["labels"].tolist() == [0.0, 0.5, 1.0]
    assert math.isnan(batch_of(None)["labels"][0])


def test_the_hard_loss_is_the_cross_entropy_of_the_graded_pairs() -> None:
    ours = torch.tensor([[0.0], [2.0], [9.0]], requires_grad=True)
    loss = TRAINING.hard_loss((ours,), batch_of(0.25, 1.0, None))
    assert loss.item() == pytest.approx((math.log(2) + math.log(1 + math.exp(-2))) / 2, rel=1e-6)
    loss.backward()
    assert ours.grad is not None
    assert ours.grad.flatten().tolist() == pytest.approx([0.125, (1 / (1 + math.exp(-2)) - 1) / 2, 0.0], rel=1e-5)
    none = TRAINING.hard_loss((ours,), batch_of(None, None, None))
    assert none.item() == 0.0


@pytest.mark.parametrize("temperature", [0.5, 8.0])
def test_the_soft_loss_is_the_squared_error_to_the_teachers_outputs(temperature: float) -> None:
    ours, theirs = torch.tensor([[0.5], [0.9]]), torch.tensor([[0.2], [1.3]])
    loss = TRAINING.soft_loss((ours,), (theirs,), batch_of(None, 0.5), temperature)
    assert loss.item() == pytest.approx((0.3**2 + 0.4**2) / 2, rel=1e-6)


@pytest.mark.parametrize("metric", ["ndcg@10", "mrr@10"])
def test_the_score_in_training_is_that_of_the_device(metric: str) -> None:
    draw = np.random.default_rng(3)
    expected = [(f"q{at % 7}", float(draw.integers(0, 4) == 3)) for at in range(60)]
    predicted = [gain + draw.normal() for _, gain in expected]
    figure = SPEC.metrics[metric].figure(SPEC.metrics[metric].table(expected, predicted))
    assert TRAINING.score(metric, expected, predicted) == figure
    assert 0.5 < figure < 1


def test_a_head_has_one_output_whatever_the_checkpoint_had(checkpoint: Path, classifier_checkpoint: Path) -> None:
    for folder in (checkpoint, classifier_checkpoint):
        assert not checkpoints.has_head(folder, "rerank", [])
        model = checkpoints.load_model(folder, "rerank", [], seed=3)
        assert model.classifier.out_features == model.config.num_labels == 1


def test_a_checkpoint_without_the_head_needs_fine_tuning(
    classifier_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.tsv").write_text("query\tdocument\n" + "a\tgood film\n" * 8)
    recipe = tmp_path / "q.toml"
    recipe.write_text(
        f'name = "q"\ntask = "rerank"\n[model]\nsource = "{classifier_checkpoint}"\n'
        '[data]\nunlabelled = ["text.tsv"]\ntext = "query"\ntext_pair = "document"\nmax_length = 32\n'
    )
    assert main(["export", str(recipe), "--out", str(tmp_path / "q")]) == 2
    said = capsys.readouterr().err
    assert "has no head for rerank (classifier.weight has the shape [2, 32], but [1, 32] is needed)" in said


RECIPE = whole_chain(
    "ranker",
    "rerank",
    splits("tsv", unlabelled=["more.tsv"], text="query", text_pair="document", label="grade", max_length=32),
    head={"high": 3.0, "negative": "negative"},
    finetune={"batch_size": 16},
    distill={"batch_size": 16, "loss": {"hard": 0.5}},
    prune={"recover": {"epochs": 1.0, "batch_size": 16}},
    export={"stages": False, "baseline": True, "formats": ["onnx", "core"]},
)
DOCUMENTS = 6


def document(draw: random.Random, nice: int) -> str:
    words = draw.choices(NICE, k=nice) + draw.choices(NASTY, k=3 - nice) + draw.choices(NEUTRAL, k=2)
    draw.shuffle(words)
    return " ".join(words)


def graded(draw: random.Random, queries: int) -> str:
    """A table of queries; a document's grade is its number of nice words."""
    lines = ["query\tdocument\tgrade"]
    for number in range(queries):
        grades = [draw.randint(0, 3) for _ in range(DOCUMENTS)]
        lines += [f"{' '.join(draw.choices(NEUTRAL, k=3))} {number}\t{document(draw, each)}\t{each}" for each in grades]
    return "\n".join(lines) + "\n"


def triples(draw: random.Random, queries: int) -> str:
    asked = [f"{' '.join(draw.choices(NEUTRAL, k=3))} {number}" for number in range(queries)]
    rows = [f"{query}\t{document(draw, 3)}\t{document(draw, 0)}" for query in asked]
    return "query\tdocument\tnegative\n" + "\n".join(rows) + "\n"


def with_one_query(table: str) -> str:
    """A table in which the rows of a query repeat its text, with the grades of `graded`."""
    head, *lines = table.splitlines()
    cells = [line.split("\t") for line in lines]
    first = {at: cells[at - at % DOCUMENTS][0] for at in range(len(cells))}
    return "\n".join([head, *("\t".join([first[at], *row[1:]]) for at, row in enumerate(cells))]) + "\n"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The bundle of all stages; its data is beside it. It is trained on triples and measured on grades."""
    folder = tmp_path_factory.mktemp("ranker")
    draw = random.Random(5)
    (folder / "train.tsv").write_text(triples(draw, 160))
    for name, queries in (("validation", 16), ("test", 20), ("more", 8)):
        (folder / f"{name}.tsv").write_text(with_one_query(graded(draw, queries)))
    (folder / "ranker.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "ranker.toml"), "--out", str(folder / "bundle")]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def model(exported: Path) -> RerankModel:
    opened: RerankModel = edgebert.load(exported)
    return opened


@pytest.mark.slow
def test_the_whole_chain_gives_a_bundle_that_ranks(exported: Path, model: RerankModel) -> None:
    manifest = read_document(exported)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["task"], manifest["labels"], manifest["segments"]) == ("rerank", [], 2)
    assert manifest["head"]["settings"]["negative"] == "negative"
    assert manifest["metrics"]["test"]["metric"] == "ndcg@10"
    assert manifest["metrics"]["test"]["n"] == 20
    assert manifest["metrics"]["test"]["value"] > 0.9
    ranked = model.rank("the story", ["bad awful cold", "good great warm", "good awful cold", "bad great warm"])
    assert [one.index for one in ranked] == [1, 3, 2, 0]
    assert all(0 <= one.score <= 1 for one in ranked)


@pytest.mark.slow
def test_the_core_ranks_as_onnxruntime_does_whatever_runs_together(exported: Path) -> None:
    documents = [document(random.Random(at), at % 4) + " film" * (at % 7) for at in range(40)]
    by_core, by_onnx = (
        edgebert.load(exported, runtime=name).rank("the story", documents) for name in ("core", "onnxruntime")
    )
    theirs = {one.index: one.score for one in by_onnx}
    assert max(abs(one.score - theirs[one.index]) for one in by_core) < 0.03
    alone = edgebert.load(exported, runtime="core").rank("the story", documents, batch_size=1)
    assert alone == by_core


@pytest.mark.slow
def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(exported.with_name("test.tsv"))
    assert main(["evaluate", str(exported), "--data", data, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["quality"] == read_document(exported)["metrics"]["test"]
    assert [other["metric"] for other in answer["others"]] == ["mrr@10"]
    assert main(["evaluate", str(exported), "--data", data]) == 0
    assert ", 20 queries)" in capsys.readouterr().out.splitlines()[0]
    assert main(["inspect", str(exported)]) == 0
    assert ", 20 queries)" in capsys.readouterr().out
    assert "| split | metric | value | 95% interval | queries |" in (exported / "README.md").read_text()


@pytest.mark.slow
def test_pairs_that_are_cut_are_counted_by_their_queries(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"q\t{'film ' * 40}{at}\t{at % 2}" for at in range(30)] + ["r\tgood\t1", "r\tbad\t0"]
    (tmp_path / "d.tsv").write_text("query\tdocument\tgrade\n" + "\n".join(rows) + "\n")
    assert main(["evaluate", str(exported), "--data", str(tmp_path / "d.tsv")]) == 0
    assert "edgebert: 1 of 2 queries (50.0%) cut to 32 tokens" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("names", [("query", "document"), ("text", "text_pair")])
def test_the_command_line_scores_a_file_of_pairs(
    exported: Path, model: RerankModel, names: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "d.tsv").write_text("\t".join(names) + "\nthe story\tgood great\nthe story\tbad\n")
    assert main(["predict", str(exported), "--input", str(tmp_path / "d.tsv")]) == 0
    scores = [model(("the story", text)).score for text in ("good great", "bad")]
    assert capsys.readouterr().out == f"{scores[0]:.4f}\tthe story | good great\n{scores[1]:.4f}\tthe story | bad\n"
    assert scores[0] > scores[1]


@pytest.mark.slow
def test_a_bench_counts_queries(exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "s.toml").write_text('scenarios = ["single_stream"]\nrounds = 2\nsamples = 10\nwarmup = 1\n')
    where = ["--suite", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]
    assert main(["bench", str(exported), "--data", str(exported.with_name("test.tsv")), *where]) == 0
    assert "\nndcg@10: bundle minus fp32: " in capsys.readouterr().out
    case = json.loads((tmp_path / "out" / "result.json").read_text())["cases"][-1]
    assert case["quality"] == {**read_document(exported)["metrics"]["test"], "counts": "queries"}
    assert main(["report", str(tmp_path / "out"), "--out", "-"]) == 0
    page = capsys.readouterr().out
    assert "| queries |" in page
    assert "| texts |" not in page
