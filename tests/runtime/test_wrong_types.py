"""Wrong types in the Python API give an error with the argument's name, never an internal error."""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_bundle import write_small_bundle

import edgebert
from edgebert.errors import DataError, InputError, TextError
from edgebert.runtime.encode import Encoded
from edgebert.runtime.model import Model


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_bundle(tmp_path_factory.mktemp("wrong-types") / "b")


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    return edgebert.load(bundle)


@pytest.mark.parametrize("path", [123, None, b"x", ["x"]])
def test_what_is_no_path(path: Any, model: Model) -> None:
    shown = f"is {type(path).__name__} {path!r}; give a str or a pathlib.Path"
    with pytest.raises(TypeError) as caught:
        edgebert.load(path)
    assert str(caught.value) == f"path {shown}"
    with pytest.raises(TypeError) as caught:
        edgebert.evaluate(model, path)
    assert str(caught.value) == f"data {shown}"


def test_an_empty_path_is_not_the_current_folder(bundle: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    for call in (lambda: edgebert.load(""), lambda: edgebert.evaluate(model, "")):
        with pytest.raises(InputError, match="is ''; give the name of a file or folder"):
            call()


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"threads": "a"}, "threads is 'a'; give 1 to 1024"),
        ({"threads": []}, "threads is []; give 1 to 1024"),
        ({"runtime": []}, "runtime is []; give onnxruntime or openvino or core, or leave it out"),
        ({"runtime": ""}, "runtime is ''; give onnxruntime or openvino or core, or leave it out"),
        (
            {"runtime": ["onnxruntime"]},
            "runtime is ['onnxruntime']; give onnxruntime or openvino or core, or leave it out",
        ),
        ({"runtime": 5}, "runtime is 5; give onnxruntime or openvino or core, or leave it out"),
    ],
)
def test_options_of_load(named: dict[str, Any], says: str, bundle: Path) -> None:
    with pytest.raises(InputError) as caught:
        edgebert.load(bundle, **named)
    assert str(caught.value) == says


@pytest.mark.parametrize("value", [np.array([True, False]), "no", 1, None])
def test_what_is_no_flag(value: Any, bundle: Path, model: Model) -> None:
    for name, call in (
        ("verify", lambda: edgebert.load(bundle, verify=value)),
        ("strict_labels", lambda: edgebert.evaluate(model, bundle / "d.tsv", strict_labels=value)),
    ):
        with pytest.raises(TypeError, match=f"^{name} is {type(value).__name__} .*; give True or False$"):
            call()


@pytest.mark.parametrize("top_k", [np.array([1, 2]), np.array(["best"]), [1]])
def test_a_number_of_labels_that_is_none(top_k: Any, model: Model) -> None:
    with pytest.raises(InputError, match=r"^top_k is .*; give a whole number of 1 or more"):
        model.pipeline("a", top_k=top_k)


def test_an_array_whose_list_is_none(model: Model) -> None:
    for given in (5, "a", None):
        column = types.SimpleNamespace(ndim=1, tolist=lambda given=given: given)
        for call in (lambda column=column: model(column), lambda column=column: model.raw(column)):
            with pytest.raises(TextError, match=r"^the SimpleNamespace .* was given; give a list of texts"):
                call()


def test_what_evaluate_cannot_score(bundle: Path, model: Model) -> None:
    for wrong in ("x", None, types.SimpleNamespace(manifest=5)):
        with pytest.raises(TypeError, match=r"; give what edgebert\.load returns"):
            edgebert.evaluate(wrong, bundle / "d.tsv")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="File name too long"):
        edgebert.evaluate(model, "x" * 5000)
    with pytest.raises(DataError, match=r"holds the character U\+0000; leave it out"):
        edgebert.evaluate(model, "a\0b")


ODD = [
    Encoded(["x"], [0]),  # type: ignore[list-item]
    Encoded([1.5], [0]),  # type: ignore[list-item]
    Encoded([[1]], [[0]]),  # type: ignore[list-item]
    Encoded([-1], [0]),
    Encoded([1 << 63], [0]),
    Encoded([10**30], [0]),
]
WINDOWS = "is not an encoded text; give results of model.task.encode"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda model: model.raw(5), "the int 5 was given; give a list of texts"),
        (lambda model: model.raw(None), "the NoneType None was given; give a list of texts"),
        (lambda model: model.raw("a"), "the str 'a' was given; give a list of texts"),
        (lambda model: model.raw(b"a"), "the bytes b'a' was given; give a list of texts"),
        (lambda model: model.raw({"a": 1}), "the dict {'a': 1} was given; give a list of texts"),
        (lambda model: model.raw([5]), "text is int 5; give a str"),
        (lambda model: model.outputs(5), f"int 5 {WINDOWS}"),
        (lambda model: model.outputs(None), f"NoneType None {WINDOWS}"),
        (lambda model: model.outputs("a"), f"str 'a' {WINDOWS}"),
        (lambda model: model.outputs(["a"]), f"str 'a' {WINDOWS}"),
        (lambda model: model.run_encoded(5), f"int 5 {WINDOWS}"),
        (lambda model: model.run_encoded([5]), f"int 5 {WINDOWS}"),
        (lambda model: model.batches("a"), f"str 'a' {WINDOWS}"),
        (lambda model: model.batches([None]), f"NoneType None {WINDOWS}"),
        *((lambda model, each=each: model.outputs([each]), f"{each!r:.80} is no encoded text: each") for each in ODD),
        (lambda model: model([("only",)]), "a tuple of 1 was given; a pair is (text, text_pair), several texts are "),
    ],
)
def test_what_is_no_text_and_no_window(call: Callable[[Any], object], says: str, model: Model) -> None:
    with pytest.raises(TextError) as caught:
        call(model)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("size", [0, "2", True])
def test_a_batch_size_that_is_none(size: Any, model: Model) -> None:
    for call in (lambda: model.raw(["a"], size), lambda: model.outputs(model.task.encode("a"), size)):
        with pytest.raises(InputError, match=r"batch_size is .*; give a whole number of 1 or more"):
            call()


def test_an_iterator_of_texts_is_several_texts(model: Model) -> None:
    texts = ["a", "b a"]
    assert [row[0].tolist() for row in model.raw(iter(texts))] == [row[0].tolist() for row in model.raw(texts)]
