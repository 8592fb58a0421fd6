"""An open bundle as an object: pickling, copying, repr and closing. On a hand-made bundle."""

import copy
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from small_bundle import write_small_bundle

import edgebert
from edgebert.errors import BundleError, InputError, RunError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.model import Model

TEXTS = ["a b", "a b a b a b", "b"]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_small_bundle(tmp_path / "small")


class ShapedSession:
    """Answers with zeros of a fixed shape."""

    batching = ANY_LENGTHS

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def run(self, inputs: dict[str, Any]) -> Any:
        return (np.zeros(self.shape, dtype=np.float32),)


class FixedSession:
    """Answers every text with the same two logits."""

    batching = ANY_LENGTHS

    def __init__(self, *logits: float) -> None:
        self.logits = np.array([logits], dtype=np.float32)

    def run(self, inputs: dict[str, Any]) -> Any:
        return (self.logits.repeat(len(inputs["input_ids"]), axis=0),)


@pytest.mark.parametrize(
    "logits", [(float("nan"), 0.0), (0.0, float("nan")), (float("inf"), 0.0), (0.0, -float("inf"))]
)
def test_no_label_is_made_up_from_what_is_no_number(logits: tuple[float, float], bundle: Path) -> None:
    model = edgebert.load(bundle)
    model.run_on(FixedSession(1e30, -1e30))
    assert model("a b").label == model(["a b", "b"])[1].label
    model.run_on(FixedSession(*logits))
    with pytest.raises(RunError, match="outputs for this text have NaN or infinity, so there is no answer"):
        model("a b")
    with pytest.raises(RunError):
        model(["a b", "b"])


@pytest.mark.parametrize("shape", [(), (2,), (1, 1), (1, 3), (2, 2), (1, 1, 2), (0, 2)])
def test_a_graph_that_answers_in_another_shape_is_refused(shape: tuple[int, ...], bundle: Path) -> None:
    model = edgebert.load(bundle)
    model.run_on(ShapedSession(1, 2))
    assert model("a b").label == "short"
    model.run_on(ShapedSession(*shape))
    with pytest.raises(BundleError, match=rf"returns logits in the shape {re.escape(str(shape))} for 1 text"):
        model("a b")


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (np.array([["1", "2"]]), "<U1"),
        (np.array([[True, False]]), "bool"),
        (np.array([[1, 2]]), "int64"),
        ([{0: 0.5, 1: 0.5}], "list"),
    ],
)
def test_a_graph_that_answers_in_no_floating_point_numbers_is_refused(given: Any, kind: str, bundle: Path) -> None:
    class GivenSession(FixedSession):
        def run(self, inputs: dict[str, Any]) -> Any:
            return (given,)

    model = edgebert.load(bundle)
    model.run_on(GivenSession())
    with pytest.raises(BundleError, match=f"returns logits as {kind}; its task reads floating-point numbers"):
        model("a b")


class NoSession:
    batching = ANY_LENGTHS

    def run(self, inputs: dict[str, Any]) -> Any:
        raise AssertionError(inputs)


def by_hand() -> Model:
    return Model(facts_of(labels=["x"], name="hand"), None, NoSession())  # type: ignore[arg-type]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_answers_as_the_model_does_and_stays_open(bundle: Path, again: Any) -> None:
    model = edgebert.load(bundle, threads=2)
    other = again(model)
    assert other is not model
    assert repr(other) == repr(model)
    answers = model(TEXTS)
    model.close()
    assert other(TEXTS) == answers
    assert [answer.label for answer in answers] == ["short", "long", "short"]


def test_another_process_opens_the_bundle_from_another_folder(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle.parent)
    model = edgebert.load(bundle.name)
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)('a b a b a b'))"
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(model), capture_output=True, cwd=tmp_path / "elsewhere"
    )
    assert (done.stdout.decode().strip(), done.returncode) == (str(model("a b a b a b")), 0), done.stderr


def test_a_bundle_that_was_replaced_or_removed_is_not_opened_as_the_old_one(bundle: Path) -> None:
    pickled = pickle.dumps(edgebert.load(bundle))
    write_small_bundle(bundle, max_length=4)
    with pytest.raises(BundleError, match="another bundle since this model was opened"):
        pickle.loads(pickled)
    shutil.rmtree(bundle)
    with pytest.raises(BundleError, match=r"no manifest\.json"):
        pickle.loads(pickled)


@pytest.mark.parametrize("again", [copy.deepcopy, pickle.dumps])
def test_a_model_without_a_path_says_so(again: Any) -> None:
    with pytest.raises(TypeError, match=r"made without a path.*open a bundle with edgebert\.load"):
        again(by_hand())


def test_a_model_shows_what_it_is(bundle: Path) -> None:
    model = edgebert.load(bundle, threads=2)
    assert repr(model) == "<Model 'small': text-classification, 2 labels, fp32, onnxruntime, 2 threads>"
    assert repr(edgebert.load(bundle)).endswith("onnxruntime, 1 thread>")
    assert repr(by_hand()) == "<Model 'hand': 1 label>"
    model.close()
    assert repr(model).endswith("2 threads, closed>")


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model("a"),
        lambda model: model([]),
        lambda model: model(iter(["a"])),
        lambda model: model.raw(["a"]),
        lambda model: model.run_on(NoSession()),
        pickle.dumps,
    ],
)
def test_a_closed_model_refuses_work(bundle: Path, use: Any) -> None:
    with edgebert.load(bundle) as model:
        lazy = model(iter(["a", "b"]), batch_size=1)
        assert next(lazy).label == "short"
    model.close()
    with pytest.raises(InputError, match=r"the model 'small' is closed; open the bundle again with edgebert\.load"):
        use(model)
    with pytest.raises(InputError, match="is closed"):
        next(lazy)


def test_a_block_that_fails_closes_the_model_and_hides_nothing(bundle: Path) -> None:
    with pytest.raises(ZeroDivisionError), edgebert.load(bundle) as model:
        raise ZeroDivisionError
    assert repr(model).endswith("closed>")
