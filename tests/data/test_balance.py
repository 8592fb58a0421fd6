"""Labels with few rows are reported before training; balanced labels are not."""

import json
from pathlib import Path

import pytest

from edgebert.compress.data import read_named_data
from edgebert.data.balance import imbalance
from edgebert.recipe import DataSettings, FinetuneSettings, ModelSettings, Recipe

REMEDY = "; add rows of the rare labels, and look at each label in evaluate --by-label"


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ({"a": 49, "b": 5}, ""),
        ({"a": 50, "b": 5}, "label 'a' has 50 rows, 'b' has 5" + REMEDY),
        ({"a": 9, "b": 4}, "1 label has fewer than 5 rows: 'b' (4)" + REMEDY),
        (
            {"a": 90, "b": 4, "c": 0},
            "label 'a' has 90 rows, 'c' has 0; 2 labels have fewer than 5 rows: 'c' (0), 'b' (4)" + REMEDY,
        ),
        (
            {name: 3 for name in "abcdefg"},
            "7 labels have fewer than 5 rows: 'g' (3), 'f' (3), 'e' (3), 'd' (3), 'c' (3) and 2 more" + REMEDY,
        ),
        ({}, ""),
    ],
)
def test_few_rows_and_ten_times_fewer_are_said(counts: dict[str, int], says: str) -> None:
    assert imbalance(counts) == says


FREQUENT: dict[str, dict[str, object]] = {
    "text-classification": {"text": "a film", "label": "x"},
    "multi-label": {"text": "a film", "label": ["x"]},
    "token-classification": {"words": ["a", "film"], "tags": ["O", "B-x"]},
    "intent-slots": {"text": "a film", "intent": "x", "slots": [{"label": "x", "start": 2, "end": 6}]},
}
RARE: dict[str, dict[str, object]] = {
    "text-classification": {"text": "a song", "label": "y"},
    "multi-label": {"text": "a song", "label": ["x", "y"]},
    "token-classification": {"words": ["a", "song"], "tags": ["B-y", "B-x"]},
    "intent-slots": {"text": "a song", "intent": "y", "slots": []},
}


@pytest.mark.parametrize("task", RARE)
@pytest.mark.parametrize("trains", [True, False])
def test_an_export_that_trains_names_rare_labels(
    task: str, trains: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [FREQUENT[task]] * 6 + [RARE[task]] * 2
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe(
        "tiny",
        task,
        ModelSettings("x"),
        data=DataSettings(train="train.jsonl", validation="train.jsonl"),
        finetune=FinetuneSettings() if trains else None,
    )
    read_named_data(recipe, tmp_path, None, strict_labels=False)
    said = capsys.readouterr().err
    assert said.count("\n") == trains
    assert ("train.jsonl: 1 label has fewer than 5 rows: 'y' (2); add rows" in said) == trains
