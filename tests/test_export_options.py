"""Options of `edgebert.export` and `edgebert.bench` with a wrong type are refused by name."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgebert
from edgebert.errors import EdgeBertError, SettingsError

ARRAY = np.array(["a", "b"])
SHOWN = "array(['a', 'b'], dtype='<U1')"


@pytest.fixture(autouse=True)
def _no_export(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "edgebert.pipeline", None)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"settings": ARRAY}, f"settings is ndarray {SHOWN}; give a dict of recipe keys to values"),
        ({"settings": ""}, "settings is str ''; give a dict of recipe keys to values"),
        ({"labels": ARRAY}, f"labels is ndarray {SHOWN}; give a list of str"),
        ({"labels": [1, 2]}, "labels[0] is int 1; give a str"),
        ({"labels": 5}, "labels is int 5; give a list of str"),
        ({"labels": "ab"}, "labels is str 'ab'; give a list of str"),
        ({"task": ["x"]}, "task is list ['x']; give a str"),
        ({"task": {}}, "task is dict {}; give a str"),
        ({"pooling": ARRAY}, f"pooling is ndarray {SHOWN}; give a str"),
        ({"pairs": ARRAY}, f"pairs is ndarray {SHOWN}; give True or False"),
        ({"pairs": "no"}, "pairs is str 'no'; give True or False"),
        ({"strict_labels": "no"}, "strict_labels is str 'no'; give True or False"),
    ],
)
def test_an_option_of_a_wrong_type(named: dict[str, Any], says: str, classifier_checkpoint: Path) -> None:
    with pytest.raises(TypeError) as caught:
        edgebert.export(classifier_checkpoint, **named)
    assert str(caught.value) == says


@pytest.mark.parametrize("precision", ["int4", "", None, 5, ARRAY])
def test_a_precision_that_there_is_not_is_not_int8(precision: Any, classifier_checkpoint: Path) -> None:
    with pytest.raises(SettingsError, match=r"precision is .*; give int8 or int8-weights or fp32$"):
        edgebert.export(classifier_checkpoint, precision=precision)


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000, "a/" * 3000, "x" * 300 + ".toml"])
def test_a_name_that_is_too_long_for_a_file(name: str, classifier_checkpoint: Path, recipe_file: Path) -> None:
    for given in ([name], [classifier_checkpoint, {"text": name}], [recipe_file, {"data_dir": name}]):
        with pytest.raises(EdgeBertError) as caught:
            edgebert.export(given[0], **(given[1] if len(given) > 1 else {}))
        assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"estimate": 5}, "estimate is int 5; give a list of str"),
        ({"estimate": [5]}, "estimate[0] is int 5; give a str"),
        ({"stages": ARRAY}, f"stages is ndarray {SHOWN}; give True or False"),
        ({"profile_ops": "no"}, "profile_ops is str 'no'; give True or False"),
        ({"strict_labels": 1}, "strict_labels is int 1; give True or False"),
    ],
)
def test_an_option_of_a_bench(named: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError) as caught:
        edgebert.bench(tmp_path, **named)
    assert str(caught.value) == says
