"""Names of a head's outputs in the config, in the recipe and in data files."""

from pathlib import Path
from typing import Any

import pytest

from edgebert.compress.label_names import label_names
from edgebert.compress.labels import Labels, names_by_number
from edgebert.data.examples import Example
from edgebert.errors import CheckpointError, DataError, SettingsError
from edgebert.recipe import DataSettings
from edgebert.tasks.training_table import training_task

TRAINING = training_task("text-classification")

HEAD = ["LABEL_0", "LABEL_1", "LABEL_2"]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"id2label": {"0": "neg", "1": "pos"}}, ["neg", "pos"]),
        ({"id2label": {"1": "pos", "0": "neg"}}, ["neg", "pos"]),
        ({"id2label": {"0": 3, "1": 1.5}}, ["3", "1.5"]),
        ({"id2label": {"0": "neg", "1": None}}, ["neg", "LABEL_1"]),
        ({"id2label": {"1": "pos"}}, ["LABEL_0", "pos"]),
        ({"id2label": None, "label2id": None}, ["LABEL_0", "LABEL_1"]),
        ({"label2id": {"pos": 1, "neg": "0"}}, ["neg", "pos"]),
        ({}, ["LABEL_0", "LABEL_1"]),
    ],
)
def test_every_form_of_names_is_read(config: dict[str, Any], names: list[str]) -> None:
    assert label_names(config, 2, "config.json") == names


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (["a", "b"], "id2label is a list"),
        ({"x": "a"}, "has the key 'x'"),
        ({"0": ["a"]}, "names output 0 with a list"),
        ({"0": "a", "1": "b", "2": "c"}, r"names output 2 \('c'\), but the head has 2 outputs"),
        ({"-1": "a"}, "names output -1"),
        ({}, "id2label is empty, but the head has 2 outputs"),
    ],
)
def test_names_that_cannot_be_used_are_refused_by_entry(stated: object, says: str) -> None:
    with pytest.raises(CheckpointError, match=says):
        label_names({"id2label": stated}, 2, "config.json")


@pytest.mark.parametrize("number", [{"x": 1}, [0], 0.5, "first", None])
def test_a_number_of_label2id_that_is_none_is_refused_by_label(number: object) -> None:
    with pytest.raises(CheckpointError, match="label2id gives 'neg' the number"):
        label_names({"id2label": None, "label2id": {"neg": number}}, 2, "config.json")


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({"#0": "x"}, ["x", "mid", "pos"]),
        ({"#2": "z", "#0": "x", "#1": "y"}, ["x", "y", "z"]),
        ({"#0": "pos", "#2": "neg"}, ["pos", "mid", "neg"]),
        ({"neg": "#0"}, []),
        ({}, []),
    ],
)
def test_outputs_are_named_by_their_numbers_in_any_order(names: dict[str, str], shown: list[str]) -> None:
    assert names_by_number(names, ["neg", "mid", "pos"]) == shown


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ({"#3": "x"}, "names output '#3', but the head has 3 outputs, #0 to #2"),
        ({"#0": "x", "mid": "y"}, "has the number '#0' and the label 'mid'"),
        ({"#0": "pos"}, "names output 0 'pos', which is another output's name"),
        ({"#0": "x", "#1": "x"}, "give each its own name"),
    ],
)
def test_numbers_that_name_no_output_of_their_own_are_refused(names: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        names_by_number(names, ["neg", "mid", "pos"])


def test_names_of_a_head_that_the_recipe_takes_for_labels_of_files_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    found = read(["neg", "mid", "pos"], ["neg"], neg="pos", pos="neg")
    assert (found.values, found.names) == (["pos", "mid", "neg"], ["neg", "mid", "pos"])
    said = capsys.readouterr().err
    assert "'neg' in the data files is mapped to output 2 of the head, 'pos'; to rename outputs, name them by " in said
    read(["neg", "mid", "pos"], ["bad"], bad="neg")
    assert capsys.readouterr().err == ""


def read(head: list[str], labels: list[str], split: str = "train", **names: str) -> Labels:
    rows = [Example("text", None, label, 2, "v.tsv") for label in labels]
    splits: dict[str, list[Example]] = {"train": [], "validation": [], "test": []} | {split: rows}
    return TRAINING.read_labels(DataSettings(label_names=names), splits, Path("data"), head)


@pytest.mark.parametrize(
    ("names", "values", "shown"),
    [
        ({"0": "neg", "1": "mid", "2": "pos"}, ["0", "1", "2"], ["neg", "mid", "pos"]),
        ({"LABEL_2": "pos"}, ["LABEL_0", "LABEL_1", "pos"], ["LABEL_0", "LABEL_1", "pos"]),
        ({"bad": "LABEL_0", "good": "LABEL_2"}, ["bad", "LABEL_1", "good"], HEAD),
    ],
)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_names_of_the_recipe_are_shown(names: dict[str, str], values: list[str], shown: list[str], split: str) -> None:
    for labels in ([], [values[0]], values):
        assert read(HEAD, labels, split, **names).names == shown
        assert read(HEAD, labels, split, **names).values[0] in (values[0], *names)


@pytest.mark.parametrize("labels", [["0", "1", "2"], ["1"], ["0", "2"]])
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_numbers_in_a_file_stand_for_outputs(labels: list[str], split: str) -> None:
    found = read(["neg", "mid", "pos"], labels, split)
    assert (found.values, found.names) == (["0", "1", "2"], ["neg", "mid", "pos"])


def test_a_heads_own_names_come_before_numbers() -> None:
    found = read(["1", "0"], ["0", "1"])
    assert found.values == ["1", "0"]


@pytest.mark.parametrize(
    ("labels", "names", "says"),
    [
        (["3"], {}, r"v\.tsv: line 2: no label of the files \('3'\) is among the 3 of the head"),
        (["pos"], {"0": "neg"}, r"no label of the files \('pos'\) is among"),
        ([], {"bad": "worse"}, "'bad' = 'worse' matches no output"),
        ([], {"3": "x"}, "'3' = 'x' matches no output"),
        ([], {"0": "x", "LABEL_0": "y"}, "both name output 0"),
    ],
)
def test_what_matches_no_output_is_refused(labels: list[str], names: dict[str, str], says: str) -> None:
    with pytest.raises(DataError, match=says):
        read(HEAD, labels, **names)


def test_numbers_taken_for_outputs_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    read(["no", "maybe", "yes"], ["0", "2"])
    assert (
        "numbers in the data files are mapped to the head's outputs: 0 = 'no', 1 = 'maybe'" in capsys.readouterr().err
    )
    read(HEAD, ["0", "2"])
    read(["0", "1"], ["0", "1"])
    assert capsys.readouterr().err == ""


def test_numbers_that_the_names_hold_at_other_outputs_are_refused() -> None:
    with pytest.raises(DataError, match=r"label '1' is the number of output 1 .* the name of output 0 \('1 star'\)"):
        read(["1 star", "2 stars", "3 stars"], ["1", "2"])
    assert read(["0 stars", "1 star"], ["0", "1"]).values == ["0", "1"]


def test_a_number_of_labels_that_is_not_the_heads_is_refused() -> None:
    assert label_names({"num_labels": 2}, 2, "c.json") == ["LABEL_0", "LABEL_1"]
    with pytest.raises(CheckpointError) as refusal:
        label_names({"num_labels": 5}, 3, "c.json")
    assert str(refusal.value) == "c.json: num_labels is 5, but the head has 3 outputs; correct it"
