"""A config's description of its head (problem type, names, scores): read as in transformers, or refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from family_checkpoints import FAMILIES, make_whole

import edgebert
from edgebert.cli import main
from edgebert.compress import checkpoint

RECIPE = """
name = "stated"
task = "TASK"
[model]
source = "model"
[data]
unlabelled = ["texts.txt"]
max_length = 32
[quantize]
format = "none"
[export]
stages = false
parity_samples = 2
"""
TEXTS = ["a good film", "the story was bad, and cold"]
TASKS = {
    "regression": "regression",
    "single_label_classification": "text-classification",
    "multi_label_classification": "multi-label",
}


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Export the folder `model` for a task into the folder `bundle`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))

    def run(task: str, head: str = "") -> int:
        (tmp_path / "r.toml").write_text(RECIPE.replace("TASK", task) + head)
        return main(["export", "r.toml", "--out", "bundle"])

    return run


@pytest.mark.parametrize("problem", TASKS)
@pytest.mark.parametrize("task", [*TASKS.values(), "token-classification"])
def test_a_problem_of_another_task_is_refused_with_its_task(
    problem: str, task: str, export: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    if TASKS[problem] == task:
        pytest.skip("its own task")
    make_whole(Path("model"), "bert", num_hidden_layers=1, id2label={0: "B-a", 1: "I-a", 2: "O"})
    config = json.loads(Path("model/config.json").read_text())
    Path("model/config.json").write_text(json.dumps(config | {"problem_type": problem}))
    assert export(task) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"problem_type {problem!r}, that of task {TASKS[problem]!r}, not {task!r}" in said


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("problem", TASKS)
def test_a_tagger_has_its_head_whatever_problem_it_states(family: str, problem: str, tmp_path: Path) -> None:
    tags = ["O", "B-a", "I-a"]
    folder = make_whole(tmp_path, family, "TokenClassification", id2label=dict(enumerate(tags)), problem_type=problem)
    assert not checkpoint.lack_of_head(folder, "token-classification", tags)


@pytest.mark.parametrize("problem", TASKS)
def test_a_head_for_answers_is_there_whatever_problem_it_states(problem: str, tmp_path: Path) -> None:
    folder = make_whole(tmp_path, "mobilebert", "QuestionAnswering", problem_type=problem)
    assert not checkpoint.lack_of_head(folder, "question-answering", [])


@pytest.mark.parametrize(
    ("head", "clipped"),
    [("", False), ("[head]\nhigh = 1.0", True), ('[head]\noutput = "score"\nclip = true', True)],
)
def test_a_regression_is_clipped_only_to_a_range_that_is_stated(head: str, clipped: bool, export: Any) -> None:
    folder = make_whole(Path("model"), "bert", num_hidden_layers=1, num_labels=1, problem_type="regression")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        model.classifier.bias += 3.0
    model.save_pretrained(folder)
    assert export("regression", head) == 0
    theirs = transformers.pipeline("text-classification", model="model", device="cpu")
    expected = [one["score"] for one in theirs(TEXTS)]
    assert min(expected) > 1
    ours = [answer.score for answer in edgebert.load("bundle")(TEXTS, batch_size=1)]
    assert ours == ([1.0, 1.0] if clipped else pytest.approx(expected, abs=1e-5))


@pytest.mark.parametrize("names", [{0: "neg", 2: "pos"}, {0: "neg", 1: None, 2: "pos"}])
def test_an_output_without_a_name_is_said(
    names: dict[int, str | None], export: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_whole(Path("model"), "bert", num_hidden_layers=1, num_labels=3)
    config = json.loads(Path("model/config.json").read_text())
    Path("model/config.json").write_text(json.dumps(config | {"id2label": names}))
    assert export("text-classification") == 0
    assert "id2label names 2 of the head's 3 outputs; output 1 is called LABEL_1" in capsys.readouterr().err
    assert list(edgebert.load("bundle")(TEXTS[0]).scores) == ["neg", "LABEL_1", "pos"]
