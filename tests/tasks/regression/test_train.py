"""Regression in training: scores of files, losses, heads with one output, and all stages on pairs."""

import json
import math
import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from manifests import facts_of
from recipes import splits, whole_chain

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main
from edgebert.compress import checkpoint as checkpoints
from edgebert.compress.data import read_task_data
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.recipe import DataSettings, read_recipe
from edgebert.runtime.model import Model
from edgebert.tasks.regression.predict import Regression
from edgebert.tasks.regression.spec import SPEC
from edgebert.tasks.training_table import training_task

TRAINING = training_task("regression")

ROOT = Path(__file__).parents[3]
STSB = ROOT.parent / "shared" / "data" / "stsb"
NICE, NASTY = ["good", "great", "warm"], ["bad", "awful", "cold"]


def device_task(**settings: Any) -> Regression:
    return Regression(facts_of({"labels": [], "segments": 1, "head": {"settings": settings}, "data": {}}), None)


def rows(*scores: float | None) -> list[Example]:
    return [Example("a", None, score, line, "d.tsv") for line, score in enumerate(scores, 2)]


def batch_of(*scores: float | None, **settings: Any) -> dict[str, torch.Tensor]:
    task = device_task(**settings)
    return {"labels": torch.tensor([TRAINING.targets(task, row, [])[0]["labels"] for row in rows(*scores)])}


def make_scorer(source: Path, folder: Path) -> Path:
    """A checkpoint with one output, as saved by transformers."""
    from transformers import AutoModelForSequenceClassification

    shutil.copytree(source, folder)
    torch.manual_seed(2)
    AutoModelForSequenceClassification.from_pretrained(source, num_labels=1).save_pretrained(folder)
    return folder


def test_a_score_has_no_labels() -> None:
    labels = TRAINING.read_labels(DataSettings(), {"train": rows(0.5, 0.1)}, Path("data"), ["LABEL_0"])
    assert (labels.values, labels.names, labels.extra) == ([], [], {})


def test_rows_without_a_score_and_names_for_scores_are_refused() -> None:
    fact = "d.tsv: line 3: no score; expected a number from 0 to 5"
    task = training_task("regression", {"low": 0.0, "high": 5.0})
    with pytest.raises(DataError, match=f"^{re.escape(fact)}"):
        task.read_labels(DataSettings(), {"train": rows(0.5, None)}, Path("data"), None)
    names = DataSettings(label_names={"0": "low"})
    with pytest.raises(DataError, match=r"data\.label_names is \{'0': 'low'\}; scores have no names"):
        TRAINING.read_labels(names, {"train": rows(0.5)}, Path("data"), None)


def test_targets_are_scaled_to_the_range_or_left_as_they_are() -> None:
    assert batch_of(1.0, 3.0, 5.0, low=1.0, high=5.0)["labels"].tolist() == [0.0, 0.5, 1.0]
    assert batch_of(1.0, 3.0, low=1.0, high=5.0, output="score")["labels"].tolist() == [1.0, 3.0]
    assert math.isnan(batch_of(None)["labels"][0])


def test_the_hard_loss_is_the_mean_squared_error_of_scaled_scores() -> None:
    ours = torch.tensor([[0.5], [0.9]], requires_grad=True)
    loss = TRAINING.hard_loss((ours,), batch_of(5.0, 3.0, low=1.0, high=5.0))
    assert loss.item() == pytest.approx((0.5**2 + 0.4**2) / 2, rel=1e-6)
    loss.backward()
    assert ours.grad is not None
    assert ours.grad.flatten().tolist() == pytest.approx([-0.5, 0.4], rel=1e-6)


def test_rows_without_a_score_have_no_hard_loss() -> None:
    ours = torch.tensor([[0.5], [0.9]], requires_grad=True)
    assert TRAINING.hard_loss((ours,), batch_of(1.0, None)).item() == pytest.approx(0.25, rel=1e-6)
    none = TRAINING.hard_loss((ours,), batch_of(None, None))
    assert none.item() == 0.0
    none.backward()
    assert ours.grad is not None
    assert not ours.grad.any()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 8.0])
def test_the_soft_loss_is_the_squared_error_to_the_teacher_at_any_temperature(temperature: float) -> None:
    ours, theirs = torch.tensor([[0.5], [0.9]]), torch.tensor([[0.2], [1.3]])
    loss = TRAINING.soft_loss((ours,), (theirs,), batch_of(None, 0.5), temperature)
    assert loss.item() == pytest.approx((0.3**2 + 0.4**2) / 2, rel=1e-6)


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_the_score_in_training_is_that_of_the_device(metric: str) -> None:
    draw = np.random.default_rng(3)
    expected = draw.integers(0, 6, 60).astype(float).tolist()
    predicted = np.clip(np.array(expected) + draw.normal(size=60), 0, 5).tolist()
    figure = SPEC.metrics[metric].figure(SPEC.metrics[metric].table(expected, predicted))
    assert TRAINING.score(metric, expected, predicted) == pytest.approx(figure, abs=1e-12)
    assert 0.5 < figure < 1


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_scores_that_are_all_the_same_have_no_correlation(metric: str) -> None:
    """For every text, an untrained head may give a score that is clipped to the same end of the range."""
    assert TRAINING.score(metric, [0.0, 1.0, 2.0], [5.0, 5.0, 5.0]) == 0.0
    assert TRAINING.score(metric, [2.0, 2.0, 2.0], [0.0, 1.0, 5.0]) == 0.0
    table = SPEC.metrics[metric].table([0.0, 1.0, 2.0], [5.0, 5.0, 5.0])
    assert SPEC.metrics[metric].figure(table) == 0.0


def test_a_head_has_one_output_whatever_the_checkpoint_had(
    checkpoint: Path, classifier_checkpoint: Path, tmp_path: Path
) -> None:
    scorer = make_scorer(checkpoint, tmp_path / "scorer")
    for folder, there in ((checkpoint, False), (classifier_checkpoint, False), (scorer, True)):
        assert checkpoints.has_head(folder, "regression", []) is there
        model = checkpoints.load_model(folder, "regression", [], seed=3)
        assert model.classifier.out_features == model.config.num_labels == 1
        assert model.config.problem_type == "regression"
    again = checkpoints.load_model(scorer, "regression", [], seed=4)
    assert torch.equal(model.classifier.weight, again.classifier.weight)


def test_a_saved_model_of_one_output_is_read_again_by_anyone(checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    model = checkpoints.load_model(checkpoint, "regression", [], seed=3)
    checkpoints.save_model(model, checkpoints.load_tokenizer(checkpoint), tmp_path / "saved")
    assert AutoConfig.from_pretrained(tmp_path / "saved").num_labels == 1
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert torch.equal(theirs.classifier.weight, model.classifier.weight)
    assert checkpoints.has_head(tmp_path / "saved", "regression", [])


@pytest.mark.slow
def test_a_checkpoint_of_one_output_is_only_quantized(shallow_checkpoint: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig

    folder = make_scorer(shallow_checkpoint, tmp_path / "scorer")
    (tmp_path / "text.txt").write_text("a good film\nthe story is dull\n" * 8)
    recipe = tmp_path / "q.toml"
    recipe.write_text(
        f'name = "q"\ntask = "regression"\n[model]\nsource = "{folder}"\n[head]\noutput = "score"\nlow = -1.0\n'
        '[data]\nunlabelled = ["text.txt"]\nmax_length = 32\n[export]\nstages = false\n'
    )
    assert main(["export", str(recipe), "--out", str(tmp_path / "q")]) == 0
    manifest = read_document(tmp_path / "q")
    assert [stage["stage"] for stage in manifest["stages"]] == ["quantize"]
    assert (manifest["labels"], manifest["metrics"]) == ([], {})
    assert AutoConfig.from_pretrained(tmp_path / "q").num_labels == 1
    model = edgebert.load(tmp_path / "q")
    logit = float(model.raw(["a good film"])[0][0][0])
    assert abs(logit) < 1
    assert model("a good film").score == pytest.approx(logit, abs=1e-6)


def test_a_checkpoint_without_the_head_needs_fine_tuning(
    classifier_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.txt").write_text("a good film\n" * 8)
    recipe = tmp_path / "q.toml"
    recipe.write_text(
        f'name = "q"\ntask = "regression"\n[model]\nsource = "{classifier_checkpoint}"\n'
        '[data]\nunlabelled = ["text.txt"]\nmax_length = 32\n'
    )
    assert main(["export", str(recipe), "--out", str(tmp_path / "q")]) == 2
    said = capsys.readouterr().err
    assert "has no head for regression (classifier.weight has the shape [2, 32], but [1, 32] is needed)" in said
    assert "; give a fine-tuned checkpoint, or train the head: a recipe with a [finetune] table" in said


RECIPE = whole_chain(
    "likeness",
    "regression",
    splits(
        "csv", unlabelled=["more.csv"], header=False, delimiter="tab", text="6", text_pair="7", label="5", max_length=32
    ),
    head={"low": 0.0, "high": 5.0},
    finetune={"epochs": 5.0},
    distill={"loss": {"hard": 0.5}},
    export={"stages": False},
)


def pair(draw: random.Random) -> str:
    """A row as in the STS benchmark: unused columns, the score, two texts, and possibly one more column."""
    nice = draw.randint(0, 5)
    words = draw.choices(NICE, k=nice) + draw.choices(NASTY, k=5 - nice)
    draw.shuffle(words)
    texts = [f"the {' '.join(words[:2])}", f'a "{" ".join(words[2:])}']
    return "\t".join(["made", "up", "0", "1", f"{nice:.3f}", *texts] + ["more"] * draw.randint(0, 1))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The bundle of all stages; its data is beside it."""
    folder = tmp_path_factory.mktemp("likeness")
    draw = random.Random(5)
    for name, count in (("train", 192), ("validation", 64), ("test", 64), ("more", 32)):
        (folder / f"{name}.csv").write_text("\n".join(pair(draw) for _ in range(count)) + "\n")
    (folder / "likeness.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "likeness.toml"), "--out", str(folder / "bundle")]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def model(exported: Path) -> Model:
    return edgebert.load(exported)


@pytest.mark.parametrize(
    ("clip", "outputs", "says"), [(True, [0.5, 1.5, -2.0], "2 of 3 scores are outside 0 to 5"), (False, [9.0], "")]
)
def test_scores_that_are_clipped_are_counted(clip: bool, outputs: list[float], says: str) -> None:
    manifest = {"segments": 1, "head": {"settings": {"high": 5.0, "clip": clip}}}
    task = Regression(facts_of(manifest), None)
    said = TRAINING.observed(task, ["a"] * len(outputs), [[(np.array([value]),)] for value in outputs])
    assert said.startswith(says)
    assert bool(said) is bool(says)


@pytest.mark.slow
def test_the_whole_chain_gives_a_bundle_that_scores_pairs(exported: Path) -> None:
    manifest = read_document(exported)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["task"], manifest["labels"], manifest["segments"]) == ("regression", [], 2)
    settings = {"low": 0.0, "high": 5.0, "output": "scaled", "activation": "none", "clip": True}
    assert manifest["head"] == {"settings": settings}
    assert manifest["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert manifest["precision"] == "int8-dynamic"
    assert manifest["metrics"]["test"]["metric"] == "spearman"
    assert manifest["metrics"]["test"]["value"] > 0.8


@pytest.mark.slow
def test_the_graph_was_held_to_pytorchs_outputs(exported: Path) -> None:
    (report,) = exported.with_name("bundle.work").glob("graph-*/stage-report.json")
    parity = json.loads(report.read_text())["metrics"]["parity"]
    assert parity["max_difference"] <= 1e-4
    assert parity["texts"] == 64


@pytest.mark.slow
def test_scores_are_in_the_callers_units(model: Model) -> None:
    answers = model([("the good great", "a warm good warm"), ("the bad awful", "a cold bad cold")])
    assert answers[0].score > 4 > 1 > answers[1].score
    assert all(0 <= answer.score <= 5 for answer in answers)
    assert [answer.truncated for answer in model([("a", "b"), ("a " * 40, "b")])] == [False, True]


@pytest.mark.slow
def test_a_single_text_is_refused_by_a_bundle_of_pairs(
    exported: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(edgebert.TextError, match="compares pairs"):
        model("the good great")
    assert main(["predict", str(exported), "the good great"]) == 2
    assert "compares pairs" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_predicts(exported: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = "the good great", "a warm good warm"
    score = model((first, second)).score
    assert main(["predict", str(exported), first, "--text-pair", second, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"text": [first, second], "score": score, "truncated": False}]
    assert main(["predict", str(exported), first, "--text-pair", second]) == 0
    assert capsys.readouterr().out == f"{score:.4f}\t{first} | {second}\n"


@pytest.mark.slow
def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported), "--data", str(exported.with_name("test.csv")), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["quality"] == read_document(exported)["metrics"]["test"]


@pytest.mark.slow
def test_a_score_outside_the_range_ends_an_evaluation_with_2_and_its_line(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("a\tb\tc\td\t5.0\tgood\tgreat\na\tb\tc\td\t5.5\tgood\tgreat\n")
    assert main(["evaluate", str(exported), "--data", str(path)]) == 2
    message = f"{path}: line 2: '5' is '5.5'; expected a number from 0 to 5"
    assert message in capsys.readouterr().err


@pytest.mark.skipif(not STSB.is_dir(), reason=f"the STS benchmark is not at {STSB}")
def test_the_general_recipe_takes_the_sts_benchmark_as_it_comes() -> None:
    files = {"train": "sts-train.csv", "validation": "sts-dev.csv", "test": "sts-test.csv"}
    overrides = [f"data.{split}={name}" for split, name in files.items()]
    overrides += ["data.header=false", "data.delimiter=tab", 'data.text="6"', 'data.text_pair="7"', 'data.label="5"']
    recipe = read_recipe(ROOT / "export" / "regression.toml", (*overrides, "head.low=0", "head.high=5"))
    data = read_task_data(recipe, STSB)
    assert (len(data.train), len(data.validation), len(data.test)) == (5749, 1500, 1379)
    assert (data.segments, data.label_names, recipe.metric) == (2, [], "spearman")
    assert {min(row.label for row in data.train), max(row.label for row in data.train)} == {0.0, 5.0}
