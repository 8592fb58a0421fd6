"""Cross-encoders score pairs as in sentence-transformers, or are refused with the name of the activation."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from family_checkpoints import PAIRED, make_whole

import edgebert
from edgebert.cli import main
from edgebert.compress.cross_encoder import with_activation
from edgebert.errors import CheckpointError, SettingsError
from edgebert.recipe import ModelSettings, Recipe

RECIPE = """
name = "pairs"
task = "regression"
[model]
source = "CHECKPOINT"
[data]
unlabelled = ["pairs.tsv"]
text = "a"
text_pair = "b"
max_length = 32
[quantize]
format = "none"
[export]
stages = false
parity_samples = 3
"""


def name_activation(folder: Path, **entries: Any) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "entries"),
    [
        ("bert", {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}),
        ("electra", {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}),
        ("roberta", {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
        ("mobilebert", {"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"}),
    ],
    ids=["sigmoid", "identity", "old-identity", "old-sigmoid"],
)
def test_a_bundle_scores_as_its_cross_encoder_does(family: str, entries: dict[str, Any], tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    folder = name_activation(make_whole(tmp_path / "model", family, num_labels=1, num_hidden_layers=1), **entries)
    theirs = sentence_transformers.CrossEncoder(str(folder), device="cpu").predict(PAIRED, batch_size=1)
    (tmp_path / "pairs.tsv").write_text("a\tb\n" + "\n".join("\t".join(pair) for pair in PAIRED) + "\n")
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)))
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    ours = [answer.score for answer in edgebert.load(tmp_path / "bundle")(PAIRED, batch_size=1)]
    assert np.abs(np.array(ours) - theirs).max() < 1e-5


@pytest.mark.slow
def test_scores_of_several_outputs_are_those_that_the_folder_asks_for(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    folder = make_whole(tmp_path / "model", "bert", num_labels=3, num_hidden_layers=1)
    name_activation(folder, sentence_transformers={"activation_fn": "torch.nn.modules.linear.Identity"})
    theirs = sentence_transformers.CrossEncoder(str(folder), device="cpu").predict(PAIRED, batch_size=1)
    (tmp_path / "pairs.tsv").write_text("a\tb\n" + "\n".join("\t".join(pair) for pair in PAIRED) + "\n")
    (tmp_path / "r.toml").write_text(
        RECIPE.replace("CHECKPOINT", str(folder)).replace("regression", "text-classification")
    )
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    answers = edgebert.load(tmp_path / "bundle")(PAIRED, batch_size=1)
    assert np.abs(np.array([list(answer.scores.values()) for answer in answers]) - theirs).max() < 1e-5
    assert [answer.label for answer in answers] == [f"LABEL_{at}" for at in theirs.argmax(1)]
    assert all(answer.score == max(answer.scores.values()) for answer in answers)


@pytest.mark.slow
def test_a_folder_of_version_6_scores_as_its_cross_encoder_does(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    folder = make_whole(tmp_path / "model", "distilbert", num_labels=1, num_hidden_layers=1)
    theirs = sentence_transformers.CrossEncoder(
        str(folder), device="cpu", max_length=8, activation_fn=torch.nn.Identity()
    )
    theirs.save_pretrained(str(tmp_path / "saved"))
    pairs = [*PAIRED, ("a good film " * 5, "a great film " * 5)]
    (tmp_path / "pairs.tsv").write_text("a\tb\n" + "\n".join("\t".join(pair) for pair in PAIRED) + "\n")
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(tmp_path / "saved")))
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    ours = [answer.score for answer in edgebert.load(tmp_path / "bundle")(pairs, batch_size=1)]
    assert np.abs(np.array(ours) - theirs.predict(pairs, batch_size=1)).max() < 1e-5


@pytest.mark.parametrize(
    ("name", "document", "says"),
    [
        ("config_sentence_transformers.json", {"activation_fn": "mine.Sigmoid"}, "activation is 'mine.Sigmoid'"),
        ("config_sentence_transformers.json", {"default_prompt_name": "q", "prompts": {"q": "ask: "}}, "is 'q'"),
        (
            "modules.json",
            [{"name": "0", "path": "", "type": "sentence_transformers.x.LogitScore"}],
            "module LogitScore",
        ),
        ("sentence_bert_config.json", {"transformer_task": "text-generation"}, "transformer_task is 'text-generation'"),
    ],
)
def test_what_a_cross_encoder_of_version_6_may_have_is_refused_by_name(
    name: str, document: Any, says: str, tmp_path: Path
) -> None:
    files: dict[str, Any] = {"config.json": {"num_labels": 1}, "config_sentence_transformers.json": {}}
    files["modules.json"] = [{"name": "0", "path": "", "type": "sentence_transformers.base.modules.Transformer"}]
    files |= {name: document}
    files["config_sentence_transformers.json"] |= {"model_type": "CrossEncoder"}
    for path, content in files.items():
        (tmp_path / path).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=says):
        with_activation(recipe("regression"), tmp_path)


@pytest.mark.parametrize(
    ("outputs", "task", "head"), [(1, "regression", "sigmoid"), (3, "text-classification", "none")]
)
def test_a_cross_encoder_that_names_no_activation_has_the_librarys(
    outputs: int, task: str, head: str | None, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {str(at): str(at) for at in range(outputs)}}))
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"model_type": "CrossEncoder"}))
    assert with_activation(recipe(task), tmp_path).head.get("activation") == head


def test_settings_beside_a_cross_encoder_count_through_the_list_of_modules(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    identity, settings = "torch.nn.modules.linear.Identity", tmp_path / "config_sentence_transformers.json"
    (tmp_path / "config.json").write_text('{"num_labels": 1}')
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 9}')
    stated = {
        "model_type": "CrossEncoder",
        "activation_fn": identity,
        "prompts": {"q": "a"},
        "default_prompt_name": "q",
    }
    settings.write_text(json.dumps(stated))
    assert with_activation(recipe("rerank"), tmp_path).head == {"activation": "sigmoid"}
    assert "no effect here: activation_fn, default_prompt_name; " in caplog.text
    modules = [{"name": "0", "path": "", "type": "sentence_transformers.base.modules.Transformer"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    settings.write_text(json.dumps(stated | {"default_prompt_name": None}))
    found = with_activation(recipe("rerank"), tmp_path)
    assert (found.head, found.data.max_length) == ({"activation": "none"}, 9)
    # Of another kind, the library makes a cross-encoder of config.json alone.
    settings.write_text(json.dumps(stated | {"model_type": "SentenceTransformer"}))
    found = with_activation(recipe("rerank"), config(tmp_path, "torch.nn.modules.activation.Sigmoid"))
    assert (found.head, found.data.max_length) == ({"activation": "sigmoid"}, recipe("rerank").data.max_length)


def recipe(task: str, **head: Any) -> Recipe:
    return Recipe("pairs", task, ModelSettings("x"), head=head)


def config(folder: Path, activation: str) -> Path:
    (folder / "config.json").write_text(json.dumps({"sentence_transformers": {"activation_fn": activation}}))
    return folder


@pytest.mark.parametrize(
    ("task", "activation", "says"),
    [
        ("regression", "torch.nn.modules.activation.Tanh", "activation is 'Tanh'"),
        (
            "text-classification",
            "torch.nn.modules.activation.Sigmoid",
            "task 'regression' or 'rerank' or 'multi-label' computes it",
        ),
        ("multi-label", "torch.nn.modules.activation.Softmax", "task 'text-classification' computes it"),
        (
            "multi-label",
            "torch.nn.modules.linear.Identity",
            "task 'regression' or 'rerank' or 'text-classification' computes it",
        ),
    ],
)
def test_an_activation_that_a_task_does_not_compute_is_named(
    task: str, activation: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=says):
        with_activation(recipe(task), config(tmp_path, activation))


def test_probabilities_of_outputs_that_are_given_as_they_are_may_be_asked_for(tmp_path: Path) -> None:
    folder = config(tmp_path, "torch.nn.modules.linear.Identity")
    assert with_activation(recipe("text-classification"), folder).head == {"activation": "none"}
    asked = recipe("text-classification", activation="softmax")
    assert with_activation(asked, folder).head == asked.head
    folder = config(tmp_path, "torch.nn.modules.activation.Softmax")
    with pytest.raises(SettingsError, match=r"head\.activation is 'none', but the cross-encoder's is 'softmax'"):
        with_activation(recipe("text-classification", activation="none"), folder)


def test_a_recipe_that_says_otherwise_is_refused(tmp_path: Path) -> None:
    folder = config(tmp_path, "torch.nn.modules.linear.Identity")
    with pytest.raises(SettingsError, match=r"head\.activation is 'sigmoid', but the cross-encoder's is 'none'"):
        with_activation(recipe("regression", activation="sigmoid"), folder)
    assert with_activation(recipe("regression", high=5.0), folder).head == {
        "activation": "none",
        "clip": False,
        "high": 5.0,
    }


@pytest.mark.parametrize("stated", ["{}", '{"sentence_transformers": {"version": "4"}}', "[]", "no JSON"])
def test_a_config_that_names_no_activation_changes_nothing(stated: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(stated)
    asked = recipe("regression", high=5.0)
    assert with_activation(asked, tmp_path) is asked


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entries", "head", "says"),
    [
        ({}, {}, ["the score is the logit; for the sigmoid that", "set head.activation to 'sigmoid'"]),
        ({}, {"high": 5.0}, ["the score is the logit, from 0..1 scaled to 0 to 5, clipped to 0 to 5; for"]),
        ({}, {"output": "score", "clip": False}, ["the score is the logit; for the sigmoid that transformers'"]),
        ({}, {"activation": "none"}, []),
        ({}, {"activation": "sigmoid"}, []),
        ({"problem_type": "regression"}, {}, []),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, {}, []),
    ],
)
def test_a_head_of_one_output_that_states_no_activation_is_said(
    entries: dict[str, Any], head: dict[str, Any], says: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_whole(tmp_path / "model", "bert", num_labels=1, num_hidden_layers=1)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    model.classifier.bias.data -= 3
    model.save_pretrained(folder)
    name_activation(folder, **{"problem_type": None} | entries)
    (tmp_path / "pairs.tsv").write_text("a\tb\n" + "\n".join("\t".join(pair) for pair in PAIRED) + "\n")
    table = "\n[head]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in head.items())
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)) + table)
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if "neither problem_type nor an activation" in line]
    assert len(said) == bool(says)
    assert all(part in said[0] for part in says)
    if head in ({}, {"activation": "none"}) and "sentence_transformers" not in entries:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        with torch.no_grad():
            logits = [float(model(**tokenizer(*pair, return_tensors="pt")).logits) for pair in PAIRED]
        ours = [answer.score for answer in edgebert.load(tmp_path / "bundle")(PAIRED, batch_size=1)]
        assert np.abs(np.array(ours) - logits).max() < 1e-5
        assert max(ours) < 0
    if head.get("activation") == "sigmoid":
        theirs = transformers.pipeline("text-classification", model=str(folder), device="cpu")
        expected = [theirs({"text": text, "text_pair": pair})["score"] for text, pair in PAIRED]
        ours = [answer.score for answer in edgebert.load(tmp_path / "bundle")(PAIRED, batch_size=1)]
        assert np.abs(np.array(ours) - expected).max() < 1e-5
