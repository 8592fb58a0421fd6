"""Cross-encoders score pairs as they do in sentence-transformers, or are refused by the activation's name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
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


@pytest.mark.parametrize(
    ("family", "entries"),
    [
        ("bert", {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}),
        ("electra", {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}),
        ("roberta", {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}),
    ],
    ids=["sigmoid", "identity", "old-identity"],
)
def test_a_bundle_scores_as_its_cross_encoder_does(family: str, entries: dict[str, Any], tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers", reason="not installed")
    folder = name_activation(make_whole(tmp_path / "model", family, num_labels=1), **entries)
    theirs = sentence_transformers.CrossEncoder(str(folder), device="cpu").predict(PAIRED, batch_size=1)
    (tmp_path / "pairs.tsv").write_text("a\tb\n" + "\n".join("\t".join(pair) for pair in PAIRED) + "\n")
    (tmp_path / "r.toml").write_text(RECIPE.replace("CHECKPOINT", str(folder)))
    assert main(["export", str(tmp_path / "r.toml"), "--out", str(tmp_path / "bundle")]) == 0
    ours = [answer.score for answer in edgebert.load(tmp_path / "bundle")(PAIRED, batch_size=1)]
    assert np.abs(np.array(ours) - theirs).max() < 1e-5


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
            "task 'regression' or 'multi-label' computes it",
        ),
        ("multi-label", "torch.nn.modules.activation.Softmax", "task 'text-classification' computes it"),
    ],
)
def test_an_activation_that_a_task_does_not_compute_is_named(
    task: str, activation: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=says):
        with_activation(recipe(task), config(tmp_path, activation))


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
