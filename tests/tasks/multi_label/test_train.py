"""Multi-label in training: labels of files, losses, thresholds, and all stages on a tiny model."""

import json
import math
import random
import re
from dataclasses import asdict, replace
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
from edgebert.data.examples import Example
from edgebert.errors import DataError
from edgebert.recipe import DataSettings
from edgebert.runtime.model import Model
from edgebert.tasks.multi_label.predict import Labelling, MultiLabel
from edgebert.tasks.multi_label.spec import SPEC
from edgebert.tasks.training_table import training_task

TRAINING = training_task("multi-label")

LABELS = ["anger", "fear", "joy"]
NICE, NASTY, NEUTRAL = ["good", "great", "warm"], ["bad", "awful", "cold"], ["meal", "the", "a", "is", "was", "very"]


def device_task(labels: list[str] = LABELS) -> MultiLabel:
    head = {"settings": {"separator": ","}, "thresholds": [0.5] * len(labels)}
    return MultiLabel(facts_of({"labels": labels, "segments": 1, "head": head, "data": {}}), None)


def rows(*labels: tuple[str, ...] | None) -> list[Example]:
    return [Example("a", None, label, line, "d.tsv") for line, label in enumerate(labels, 2)]


def labels_of(train: list[Example], head: list[str] | None = None, names: Any = None, **more: Any) -> Any:
    data = DataSettings(train="d.tsv", label="tags", label_names=names or {})
    splits = {"train": train, "validation": [], "test": [], **more}
    return TRAINING.read_labels(data, splits, Path("data"), head)


def test_labels_are_those_of_training_sorted_each_with_the_default_threshold() -> None:
    labels = labels_of(rows(("joy", "anger"), (), ("fear", "joy")), validation=rows(("fear",), ()))
    assert labels.values == labels.names == LABELS
    assert labels.extra == {"thresholds": [0.5, 0.5, 0.5]}


def test_label_names_choose_labels_order_and_what_is_shown() -> None:
    labels = labels_of(rows(("2", "0")), names={"2": "joy", "0": "anger", "1": "fear"})
    assert (labels.values, labels.names) == (["2", "0", "1"], ["joy", "anger", "fear"])
    assert labels.extra == {"thresholds": [0.5, 0.5, 0.5]}


def test_the_labels_of_a_head_that_is_kept_stand() -> None:
    assert labels_of(rows(("joy",)), head=["joy", "fear"]).names == ["joy", "fear"]
    assert labels_of([], head=["joy", "fear"]).extra == {"thresholds": [0.5, 0.5]}
    with pytest.raises(DataError, match=r"no label of the files \('awe'\) is among the 2 of the head"):
        labels_of(rows(("awe",)), head=["joy", "fear"])


@pytest.mark.parametrize(
    ("train", "more", "fact"),
    [
        (rows((), ()), {}, "data/d.tsv: no row has a label in 'tags'; expected at least two labels"),
        (rows(("joy",), ()), {}, "data/d.tsv: only one label, 'joy'; expected at least two"),
        (
            rows(("joy", "fear")),
            {"names": {"joy": "joy, mild", "fear": "fear"}},
            "label name 'joy, mild' contains the sep",
        ),
    ],
)
def test_labels_that_cannot_be_learnt_are_refused(train: list[Example], more: Any, fact: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(fact)}"):
        labels_of(train, **more)


def batch_of(*labels: tuple[str, ...] | None) -> dict[str, torch.Tensor]:
    wanted = [TRAINING.targets(device_task(), row, [])[0]["labels"] for row in rows(*labels)]
    return {"labels": torch.from_numpy(np.stack(wanted))}


def test_the_hard_loss_is_the_cross_entropy_of_every_label() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], requires_grad=True)
    loss = TRAINING.hard_loss((logits,), batch_of(("anger", "joy"), ()))
    right = [[2.0, 1.0, 0.5], [-0.0, -3.0, 2.0]]  # logits of what is right: turned round where the label is absent
    expected = sum(math.log1p(math.exp(-value)) for row in right for value in row) / 2
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad.sign() == torch.tensor([[-1.0, 1.0, -1.0], [1.0, 1.0, 1.0]])).all()


def test_rows_without_labels_have_no_hard_loss() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], requires_grad=True)
    alone = TRAINING.hard_loss((logits[:1],), batch_of(("anger",)))
    both = TRAINING.hard_loss((logits,), batch_of(("anger",), None))
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    none = TRAINING.hard_loss((logits,), batch_of(None, None))
    assert none.item() == 0.0
    none.backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_an_empty_set_of_labels_is_learnt_from() -> None:
    assert TRAINING.hard_loss((torch.full((1, 3), 4.0),), batch_of(())).item() > 12
    assert TRAINING.hard_loss((torch.full((1, 3), -4.0),), batch_of(())).item() < 0.06


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_the_soft_loss_is_the_divergence_of_every_label_computed_by_hand(temperature: float) -> None:
    ours, theirs = [[0.0, 1.0, -2.0], [3.0, -1.0, 0.5]], [[2.0, -1.0, -2.0], [0.0, 4.0, 0.5]]

    def divergence(student: float, teacher: float) -> float:
        q, p = (1 / (1 + math.exp(-value / temperature)) for value in (student, teacher))
        return p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))

    pairs = [pair for rows in zip(ours, theirs, strict=True) for pair in zip(*rows, strict=True)]
    expected = sum(divergence(*pair) for pair in pairs) / 2 * temperature**2
    loss = TRAINING.soft_loss((torch.tensor(ours),), (torch.tensor(theirs),), batch_of(None, None), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    same = TRAINING.soft_loss((torch.tensor(theirs),), (torch.tensor(theirs),), batch_of(None, None), temperature)
    assert same.item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("metric", ["micro_f1", "macro_f1", "accuracy"])
@pytest.mark.parametrize("labels", [1, 2, 7])
def test_the_score_in_training_is_that_of_the_device(metric: str, labels: int) -> None:
    expected, predicted = np.random.default_rng(labels).random((2, 40, labels)) < 0.4
    if labels > 2:
        expected[:, 0] = predicted[:, 0] = predicted[:, 1] = expected[:, 2] = False
    table = SPEC.metrics[metric].table(list(expected), list(predicted))
    found = TRAINING.score(metric, list(expected), list(predicted))
    assert found == pytest.approx(SPEC.metrics[metric].figure(table), abs=1e-12)


def tuned(scores: list[float], wanted: list[int]) -> float:
    predictions = [Labelling((), {"joy": score}, False) for score in scores]
    head = TRAINING.tune(device_task(["joy"]), predictions, [np.array([bool(want)]) for want in wanted])
    assert list(head) == ["thresholds"]
    return float(head["thresholds"][0])


def f1_over(threshold: float, scores: Any, wanted: Any) -> float:
    given = np.asarray(scores) > threshold
    return float(2 * (given & np.asarray(wanted, dtype=bool)).sum() / max(1, given.sum() + np.sum(wanted)))


@pytest.mark.parametrize(
    ("scores", "wanted", "threshold"),
    [
        ([0.9, 0.8, 0.3, 0.1], [1, 1, 0, 0], 0.55),
        ([0.1, 0.3, 0.8, 0.9], [0, 0, 1, 1], 0.55),
        ([0.2, 0.1, 0.05, 0.01], [1, 1, 0, 0], 0.075),
        ([0.9, 0.8, 0.7, 0.6], [1, 0, 0, 0], 0.85),
        ([0.4, 0.2], [1, 1], 0.1),
        ([0.9, 0.1], [0, 0], 0.5),
        ([0.6], [1], 0.3),
        ([0.6], [0], 0.5),
        # Thresholds of 0.75 and 0.05 both give 2/3; the first is closer to 0.5.
        ([0.9, 0.6, 0.5, 0.1], [1, 0, 0, 1], 0.75),
        ([0.9, 0.6, 0.5, 0.1], [1, 0, 1, 0], 0.3),
    ],
)
def test_a_threshold_lies_in_the_middle_of_the_best_cut(
    scores: list[float], wanted: list[int], threshold: float
) -> None:
    assert tuned(scores, wanted) == pytest.approx(threshold, abs=1e-12)


def test_equal_scores_are_not_cut_apart() -> None:
    threshold = tuned([0.7, 0.7, 0.7, 0.2], [1, 0, 1, 0])
    assert threshold == pytest.approx(0.45, abs=1e-12)
    assert f1_over(threshold, [0.7, 0.7, 0.7, 0.2], [1, 0, 1, 0]) == pytest.approx(0.8)


@pytest.mark.parametrize("seed", range(8))
def test_no_other_threshold_has_a_better_f1_and_the_order_of_the_texts_does_not_matter(seed: int) -> None:
    draw = np.random.default_rng(seed)
    scores = np.round(draw.random(40), 2)
    wanted = (draw.random(40) < scores * 0.7).astype(int)
    threshold = tuned(scores.tolist(), wanted.tolist())
    best = max(f1_over(cut, scores, wanted) for cut in np.arange(-0.005, 1, 0.01))
    assert f1_over(threshold, scores, wanted) == pytest.approx(best, abs=1e-12)
    order = draw.permutation(40)
    assert tuned(scores[order].tolist(), wanted[order].tolist()) == threshold


def sentence(draw: random.Random) -> dict[str, Any]:
    """Neutral words, often with a nice word, a nasty word or both: these are the labels."""
    words = draw.choices(NEUTRAL, k=draw.randint(2, 8))
    tags = [tag for tag in ("nice", "nasty") if draw.random() < 0.5]
    for tag in tags:
        words.insert(draw.randrange(len(words) + 1), draw.choice(NICE if tag == "nice" else NASTY))
    return {"text": " ".join(words), "tags": tags}


RECIPE = whole_chain(
    "tags",
    "multi-label",
    {**splits("tsv", unlabelled=["more.txt"], label="tags", max_length=32), "train": "train.jsonl"},
    head={"separator": ";"},
    finetune={"epochs": 10.0},
    distill={"epochs": 6.0, "loss": {"hard": 0.5}},
    prune={"recover": {"epochs": 4.0}},
    export={"stages": False},
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """The bundle of all stages; its data is beside it."""
    folder = tmp_path_factory.mktemp("tags")
    draw = random.Random(5)
    train, *held_out = ([sentence(draw) for _ in range(count)] for count in (192, 64, 64))
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, train)) + "\n")
    for name, examples in zip(("validation", "test"), held_out, strict=True):
        lines = ["text\ttags", *(f"{row['text']}\t{';'.join(row['tags'])}" for row in examples)]
        (folder / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    (folder / "more.txt").write_text("\n".join(sentence(draw)["text"] for _ in range(32)) + "\n")
    (folder / "tags.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    assert main(["export", str(folder / "tags.toml"), "--out", str(folder / "bundle")]) == 0
    return folder / "bundle"


@pytest.fixture(scope="module")
def model(exported: Path) -> Model:
    return edgebert.load(exported)


@pytest.mark.slow
def test_the_whole_chain_gives_a_bundle_that_knows_its_labels(exported: Path) -> None:
    manifest = read_document(exported)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["task"], manifest["labels"], manifest["segments"]) == ("multi-label", ["nasty", "nice"], 1)
    assert manifest["head"]["settings"] == {"separator": ";"}
    assert manifest["precision"] == "int8-dynamic"
    assert manifest["metrics"]["test"]["metric"] == "micro_f1"
    assert manifest["metrics"]["test"]["value"] > 0.9
    config = json.loads((exported / "config.json").read_text())
    assert config["problem_type"] == "multi_label_classification"
    assert config["id2label"] == {"0": "nasty", "1": "nice"}


@pytest.mark.slow
def test_the_graph_was_held_to_pytorchs_outputs(exported: Path) -> None:
    (report,) = exported.with_name("bundle.work").glob("graph-*/stage-report.json")
    parity = json.loads(report.read_text())["metrics"]["parity"]
    assert parity["max_difference"] <= 1e-4
    assert parity["texts"] == 64


@pytest.mark.slow
def test_the_thresholds_are_the_best_on_validation_for_the_graph_that_is_shipped(exported: Path, model: Model) -> None:
    from edgebert.runtime.rows import read_rows

    thresholds = read_document(exported)["head"]["thresholds"]
    assert model.task.thresholds == thresholds
    assert len(thresholds) == 2
    examples = read_rows(exported.with_name("validation.tsv"), model.manifest)
    expected = [model.task.expected(row) for row in examples]
    predictions = [model(model.task.given(row)) for row in examples]
    assert TRAINING.tune(model.task, predictions, expected) == {"thresholds": thresholds}


@pytest.mark.slow
def test_a_bundle_tags_texts(model: Model) -> None:
    texts = ["the meal was good", "a cold meal", "awful meal was great", "the meal is a meal"]
    answers = model(texts)
    assert [set(answer.labels) for answer in answers] == [{"nice"}, {"nasty"}, {"nice", "nasty"}, set()]
    assert all(list(answer.scores) == ["nasty", "nice"] for answer in answers)
    assert [answer.truncated for answer in model(["a meal", "a meal " * 40])] == [False, True]


@pytest.mark.slow
def test_a_pair_is_refused_by_a_bundle_of_single_texts(
    exported: Path, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(edgebert.TextError, match="takes single texts"):
        model(("a good meal", "a bad meal"))
    assert main(["predict", str(exported), "a good meal", "--text-pair", "a bad meal"]) == 2
    assert "takes single texts" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_line_predicts(exported: Path, model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["the meal was good", "the meal is a meal"]
    assert main(["predict", str(exported), *texts, "--json"]) == 0
    answers = json.loads(capsys.readouterr().out)
    assert answers[0]["labels"] == ["nice"]
    # Text by text, as on a device: in a batch, INT8 may differ slightly.
    assert answers == [{"text": text, **json.loads(json.dumps(asdict(model(text))))} for text in texts]
    assert main(["predict", str(exported), *texts]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"nice\t{answers[0]['scores']['nice']:.4f}\t{texts[0]}"
    assert second == f"-\t-\t{texts[1]}"


@pytest.mark.slow
def test_the_command_line_evaluates_as_the_export_did(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(exported), "--data", str(exported.with_name("test.tsv")), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["quality"] == read_document(exported)["metrics"]["test"]


@pytest.mark.slow
def test_a_wrong_label_ends_an_evaluation_with_2_and_its_line(
    exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "wrong.tsv"
    for cell, fact in (("nice;nice", "expected each label once"), ("nice;sad", "does not have: 'sad' (1)")):
        path.write_text(f"text\ttags\na meal\tnice\na meal\t{cell}\n")
        assert main(["evaluate", str(exported), "--data", str(path), "--strict-labels"]) == 2
        message = capsys.readouterr().err
        assert f"{path}: line 3: " in message
        assert fact in message


def test_a_head_of_one_label_a_text_is_not_taken_for_one_of_several(
    classifier_checkpoint: Path, tmp_path: Path
) -> None:
    import shutil

    from edgebert.compress import checkpoint

    assert checkpoint.has_head(classifier_checkpoint, "multi-label", ["nasty", "nice"])
    assert not checkpoint.has_head(classifier_checkpoint, "multi-label", ["nasty", "nice", "new"])
    folder = Path(shutil.copytree(classifier_checkpoint, tmp_path / "single"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "problem_type": "single_label_classification"}))
    assert not checkpoint.has_head(folder, "multi-label", ["nasty", "nice"])
    assert checkpoint.has_head(folder, "text-classification", ["nasty", "nice"])


def test_targets_are_the_same_by_value_and_by_name() -> None:
    head = {"settings": {}, "thresholds": [0.5] * 3}
    facts = {"labels": LABELS, "segments": 1, "head": head, "data": {"label_values": list("012")}}
    task = MultiLabel(facts_of(facts), None)
    row = rows(("2", "anger"))[0]
    assert TRAINING.targets(task, row, [])[0]["labels"].tolist() == [1.0, 0.0, 1.0]
    assert TRAINING.targets(task, replace(row, label=None), [])[0]["labels"].tolist() == [-1.0] * 3
