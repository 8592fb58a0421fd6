"""Columns of texts from numpy and pandas, without importing pandas: detected by `tolist`, `ndim` and `columns`."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from small_bundle import write_small_bundle

import edgebert
from edgebert.errors import TextError
from edgebert.runtime.model import Model

TEXTS = ["a b", "a b a b a b", "b"]


class Series:
    """A column whose row numbers start at 7, as in a filtered frame: `series[0]` is a KeyError."""

    ndim = 1

    def __init__(self, values: list[Any]) -> None:
        self.values, self.shape = values, (len(values),)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __getitem__(self, at: int) -> Any:
        return {number: value for number, value in enumerate(self.values, 7)}[at]

    def tolist(self) -> list[Any]:
        return self.values


class DataFrame:
    """Iteration gives the names of its columns."""

    ndim, shape = 2, (3, 2)
    columns: ClassVar = ["id", "text"]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return self.shape[0]


class PolarsFrame(DataFrame):
    """Polars' frame has no `ndim`, and its names may all be numbers."""

    ndim = None  # type: ignore[assignment]
    columns: ClassVar = ["review", "stars"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return edgebert.load(write_small_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.mark.parametrize("column", [np.array(TEXTS, dtype=object), np.array(TEXTS), Series(TEXTS)])
def test_a_column_is_answered_with_a_list_as_a_list_is(model: Model, column: Any) -> None:
    answers = model(column)
    assert isinstance(answers, list)
    assert answers == model(TEXTS)
    assert [rows[0].tolist() for rows in model.raw(column)] == [rows[0].tolist() for rows in model.raw(TEXTS)]
    assert model(column[:1] if isinstance(column, np.ndarray) else Series(TEXTS[:1])) == model(TEXTS[:1])


def test_an_empty_column_and_an_element_of_an_array_are_answered(model: Model) -> None:
    assert model(np.array([], dtype=object)) == []
    assert model(np.array(TEXTS)[0]) == model(TEXTS[0])


def test_a_missing_value_is_refused_by_its_place(model: Model) -> None:
    with pytest.raises(TextError, match="text 2 of 3: text is float nan; give a str"):
        model(Series(["a", float("nan"), "b"]))


@pytest.mark.parametrize(
    ("frame", "remedy"),
    [
        (
            DataFrame(),
            "a DataFrame with the columns id, text was given; give one of them: model(frame['text'].tolist())",
        ),
        (
            PolarsFrame(),
            "a PolarsFrame with the columns review, stars was given; give one of them: model(frame['review'].tolist())",
        ),
    ],
)
def test_a_frame_is_refused_and_not_answered_by_its_column_names(model: Model, frame: Any, remedy: str) -> None:
    for ask in (model, model.raw):
        with pytest.raises(TextError) as caught:
            ask(frame)
        assert str(caught.value) == remedy


@pytest.mark.parametrize("array", [np.array([["a", "b"]]), np.array("a b")])
def test_an_array_of_other_dimensions_is_refused_with_its_shape(model: Model, array: Any) -> None:
    with pytest.raises(TextError, match=r"an array of the shape \(.*\) was given; give one dimension"):
        model(array)
