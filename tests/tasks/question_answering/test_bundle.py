"""Question answering with all stages and the command line."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recipes import whole_chain

import edgebert
from edgebert.bundle import read_document
from edgebert.cli import main

QUESTION = "is the film good"
NICE, NASTY, NEUTRAL = ["good", "great", "warm"], ["bad", "awful", "cold"], ["film", "play", "the", "a", "is", "was"]


def questions(count: int, seed: int) -> list[dict[str, Any]]:
    """Which nice word is in the context? One third has none; some contexts are longer than a window."""
    random_ = random.Random(seed)
    rows = []
    for number in range(count):
        word = random_.choice(NASTY if number % 3 == 0 else NICE)
        words = random_.choices(NEUTRAL, k=40 if number % 10 == 7 else random_.randint(3, 12))
        words.insert(random_.randrange(len(words) + 1), word)
        context = " ".join(words)
        answers = [] if word in NASTY else [{"text": word, "start": context.index(word)}]
        rows.append({"id": f"{seed}-{number}", "question": QUESTION, "context": context, "answers": answers})
    return rows


def write_squad(path: Path, rows: list[dict[str, Any]]) -> None:
    paragraphs = []
    for row in rows:
        answers = [{"text": answer["text"], "answer_start": answer["start"]} for answer in row["answers"]]
        question = {"id": row["id"], "question": row["question"], "answers": answers, "is_impossible": not answers}
        paragraphs.append({"context": row["context"], "qas": [question]})
    path.write_text(json.dumps({"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}))


RECIPE = whole_chain(
    "answers",
    "question-answering",
    {"train": "train.json", "validation": "validation.json", "test": "test.jsonl", "max_length": 32},
    head={"stride": 8, "max_answer_length": 4},
    finetune={"epochs": 5.0, "learning_rate": 3e-3},
    distill={"epochs": 1.0, "learning_rate": 1e-3},
    prune={"samples": 32, "recover": {"epochs": 1.0}, "loss": {"hard": 0.5}},
    quantize={"samples": 16},
    export={"stages": False},
)


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("squad")
    write_squad(folder / "train.json", questions(150, 1))
    write_squad(folder / "validation.json", questions(40, 2))
    (folder / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(40, 3)))
    return folder


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path, data_folder: Path) -> Path:
    """The bundle of all stages."""
    folder = tmp_path_factory.mktemp("answering")
    (folder / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(checkpoint)))
    arguments = ["export", str(folder / "r.toml"), "--data-dir", str(data_folder), "--out", str(folder / "out")]
    assert main(arguments) == 0
    return folder / "out"


@pytest.mark.slow
def test_the_whole_chain_gives_a_bundle_that_answers(answering: Path) -> None:
    manifest = read_document(answering)
    assert [stage["stage"] for stage in manifest["stages"]] == ["finetune", "distill", "prune", "recover", "quantize"]
    assert (manifest["labels"], manifest["segments"]) == ([], 2)
    assert manifest["outputs"] == ["start_logits", "end_logits"]
    assert manifest["head"]["settings"] == {"stride": 8, "max_answer_length": 4, "misplaced_answers": "refuse"}
    assert manifest["head"]["may_have_no_answer"] is True
    assert isinstance(manifest["head"]["no_answer_threshold"], float)
    assert (manifest["metrics"]["test"]["metric"], manifest["metrics"]["test"]["n"]) == ("f1", 40)
    assert manifest["metrics"]["test"]["value"] > 0.8
    assert 'model(("your question", "your context"))' in (answering / "README.md").read_text()
    model = edgebert.load(answering)
    context = "the\tfilm was  a play and Gre\u0301at"
    found = model((QUESTION, context))
    assert found.answer == context[found.start : found.end] == "Gre\u0301at"
    far = f"{'the film was a play ' * 30}great"
    assert [answer.answer for answer in model([(QUESTION, far), (QUESTION, "the play is awful")])] == ["great", ""]


@pytest.mark.slow
def test_the_command_line_predicts_and_evaluates(
    answering: Path, data_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def out(*arguments: str) -> str:
        capsys.readouterr()
        assert main([arguments[0], str(answering), *arguments[1:]]) == 0
        return capsys.readouterr().out

    contexts = ["the film is great", "a play was cold"]
    line = out("predict", QUESTION, "--context", contexts[0])
    assert line.startswith("great\t")
    assert line.endswith(f"\t{QUESTION} | {contexts[0]}\n")
    questions = [QUESTION, "is the film good"]
    both = out("predict", *questions, "--context", contexts[0]).splitlines()
    assert [each.split("\t")[2] for each in both] == [f"{question} | {contexts[0]}" for question in questions]
    path = tmp_path / "asked.jsonl"
    path.write_text("".join(json.dumps({"question": QUESTION, "context": context}) + "\n" for context in contexts))
    first, second = out("predict", "--input", str(path)).splitlines()
    # INT8 scales activations by batch, so the last digits of the score differ.
    assert first.split("\t")[::2] == line.strip().split("\t")[::2]
    assert second.startswith("(no answer)\t")
    answers = json.loads(out("predict", "--input", str(path), "--json"))
    assert [answer["text"] for answer in answers] == [[QUESTION, context] for context in contexts]
    assert [(answer["answer"], answer["start"], answer["end"]) for answer in answers] == [
        ("great", 12, 17),
        ("", None, None),
    ]
    for name, split in (("test.jsonl", "test"), ("validation.json", "validation")):
        quality = json.loads(out("evaluate", "--data", str(data_folder / name), "--json"))["quality"]
        assert quality == read_document(answering)["metrics"][split]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(QUESTION,), (QUESTION, "--context", " "), ("", "--context", "a film")])
def test_the_command_line_refuses_a_question_without_a_context(
    arguments: tuple[str, ...], answering: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(answering), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("edgebert: ")
    assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_a_checkpoint_that_answers_already_is_only_exported_and_its_graph_agrees(
    shallow_checkpoint: Path, data_folder: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForQuestionAnswering

    shutil.copytree(shallow_checkpoint, tmp_path / "model")
    torch.manual_seed(5)
    theirs = AutoModelForQuestionAnswering.from_pretrained(shallow_checkpoint).eval()
    theirs.save_pretrained(tmp_path / "model")
    recipe = RECIPE.split("[finetune]")[0].replace("CHECKPOINT", str(tmp_path / "model"))
    recipe = recipe.replace('train = "train.json"\n', "")
    (tmp_path / "r.toml").write_text(f'{recipe}[quantize]\nformat = "none"\n[export]\nstages = false\n')
    arguments = ["export", str(tmp_path / "r.toml"), "--data-dir", str(data_folder), "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    manifest = read_document(tmp_path / "out")
    assert [stage["stage"] for stage in manifest["stages"]] == ["graph"]
    assert manifest["head"]["may_have_no_answer"] is True
    model = edgebert.load(tmp_path / "out")
    given = (QUESTION, "the film was a play and good " * 9)
    windows = model.task.encode(given)
    assert len(windows) > 2
    for window, outputs in zip(windows, model.raw([given]), strict=True):
        ids, types = torch.tensor([window.ids]), torch.tensor([window.type_ids])
        with torch.no_grad():
            expected = theirs(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=types)
        for ours, right in zip(outputs, (expected.start_logits, expected.end_logits), strict=True):
            np.testing.assert_allclose(ours, right[0].numpy(), rtol=0, atol=1e-4)
            assert ours.std() > 0.01
