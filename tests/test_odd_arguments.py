"""Values that cannot be printed in a message are refused like others of a wrong type or size."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from manifests import small_bundle

import edgebert
from edgebert.errors import EdgeBertError, SaturationWarning
from edgebert.escape import shown_value
from edgebert.runtime.model import Model


class Silent:
    def __repr__(self) -> str:
        raise OSError("no name")


# Python does not print integers with more than 4,300 digits.
HUGE = 10**5000
ODD = [HUGE, -HUGE, [HUGE], (HUGE, HUGE), Silent()]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    with warnings.catch_warnings(action="ignore", category=SaturationWarning):
        return edgebert.load(small_bundle(tmp_path_factory.mktemp("odd") / "bundle"))


def bundle_of(model: Model) -> Path:
    return Path(model.__reduce__()[1][0].path)


CALLS: dict[str, Callable[[Model, Any], object]] = {
    "load": lambda model, odd: edgebert.load(odd),
    "threads": lambda model, odd: edgebert.load(bundle_of(model), threads=odd),
    "runtime": lambda model, odd: edgebert.load(bundle_of(model), runtime=odd),
    "verify": lambda model, odd: edgebert.load(bundle_of(model), verify=odd),
    "text": lambda model, odd: model(odd),
    "texts": lambda model, odd: model([odd]),
    "top_k": lambda model, odd: model.pipeline("good", top_k=odd if odd != HUGE else -HUGE),
    "batch_size": lambda model, odd: model("good", batch_size=odd if odd != HUGE else -HUGE),
    "raw": lambda model, odd: model.raw(odd),
    "outputs": lambda model, odd: model.outputs([odd]),
    "model": lambda model, odd: edgebert.evaluate(odd, "x"),
    "data": lambda model, odd: edgebert.evaluate(model, odd),
    "bundle": lambda model, odd: edgebert.bench(odd),
    "bundles": lambda model, odd: edgebert.bench([odd]),
    "target": lambda model, odd: edgebert.bench("x", target=odd),
    "estimate": lambda model, odd: edgebert.bench("x", estimate=odd),
    "recipe": lambda model, odd: edgebert.export(odd),
    "settings": lambda model, odd: edgebert.export("x", settings=odd),
    "setting": lambda model, odd: edgebert.export("x", settings={"a": Silent(), "b": odd}),
    "precision": lambda model, odd: edgebert.export("x", precision=odd),
}


@pytest.mark.parametrize("odd", ODD, ids=["huge", "negative", "list", "tuple", "object"])
@pytest.mark.parametrize("call", CALLS)
def test_a_value_that_cannot_be_written_is_refused_by_name(call: str, odd: Any, model: Model) -> None:
    with pytest.raises((EdgeBertError, TypeError), match=r"give|expected|text|reads"):
        CALLS[call](model, odd)


def test_an_iterator_takes_any_batch_size(model: Model) -> None:
    assert list(model(iter(["good"]), batch_size=HUGE)) == [model("good")]


def test_a_value_is_shown_by_its_beginning() -> None:
    assert (shown_value("ab\n"), shown_value("x" * 50, 5)) == (r"'ab\n'", "'xxxx")
    assert (shown_value(HUGE), shown_value(Silent())) == ("too long to show", "not to be shown")
