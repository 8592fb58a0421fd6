"""An open bundle of any task: order, batches, lazy evaluation, windows, padding; a real and a hand-made one."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from manifests import facts_of
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

import edgebert
from edgebert.errors import InputError, TextError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.model import Model
from edgebert.runtime.padded import padded_inputs, split_batch
from edgebert.runtime.sessions.onnxruntime import UnpaddedSession

TEXTS = [
    "a good film",
    "the story was awful and cold and so very poor",
    "song",
    "warm meal and lovely play and a great story",
    "dull",
]


@pytest.fixture(scope="module")
def fp32(built: Path) -> Model:
    return edgebert.load(built.with_name(built.name + ".stages") / "1-graph")


class CountingSession:
    """Answers with each window's number of tokens and every token's id; records the shapes of its inputs."""

    batching = ANY_LENGTHS

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: dict[str, Any]) -> Any:
        self.shapes.append(inputs["input_ids"].shape)
        return inputs["attention_mask"].sum(1, keepdims=True).astype(np.float32), inputs["input_ids"] * np.float32(1)


class CountingUnpadded(UnpaddedSession):
    """The same, but only for inputs without padding."""

    def __init__(self) -> None:
        self.counting = CountingSession()

    def run(self, inputs: dict[str, Any]) -> Any:
        assert inputs["attention_mask"].all()
        return self.counting.run(inputs)


@dataclass(frozen=True)
class Answer:
    given: str
    tokens: list[int]
    ids: list[list[int]]


class Windowed:
    """A task that reads texts in windows of eight tokens, with an overlap of two."""

    spec: ClassVar = SimpleNamespace(outputs={"tokens": False, "ids": True})
    widths: ClassVar = (1, None)

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder

    def encode(self, given: str) -> list[Encoded]:
        return self.encoder.encode_words(given.split(), 2)

    def decode(self, given: str, windows: Sequence[Encoded], outputs: Sequence[Any]) -> Answer:
        assert len(windows) == len(outputs)
        return Answer(given, [int(tokens[0]) for tokens, _ in outputs], [ids.tolist() for _, ids in outputs])


@pytest.fixture
def by_hand(tmp_path: Path) -> tuple[Model, CountingSession]:
    tokenizer = Tokenizer(WordPiece({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "b": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    manifest = {"labels": [], "inputs": ["input_ids", "attention_mask", "token_type_ids"], "pad_id": 9}
    session = CountingSession()
    return Model(facts_of(manifest), Windowed(TextEncoder(tmp_path / "tokenizer.json", 8)), session), session


@pytest.mark.parametrize("batch_size", [1, 2, 5, 32])
def test_a_list_is_answered_in_order_as_one_by_one(fp32: Model, batch_size: int) -> None:
    together = fp32(TEXTS, batch_size=batch_size)
    assert isinstance(together, list)
    for text, answer in zip(TEXTS, together, strict=True):
        alone = fp32(text)
        assert answer.label == alone.label
        assert answer.scores == pytest.approx(alone.scores, abs=1e-4)


def test_padding_does_not_change_outputs(fp32: Model) -> None:
    alone = np.array([fp32.raw([text])[0][0] for text in TEXTS])
    assert alone.shape == (5, 2)
    assert np.ptp(alone[:, 0]) > 0.5
    np.testing.assert_allclose([row[0] for row in fp32.raw(TEXTS)], alone, rtol=0, atol=1e-4)


def test_an_empty_list_is_answered_with_an_empty_one(fp32: Model) -> None:
    assert fp32([]) == []
    assert list(fp32(iter([]))) == []
    assert fp32.raw([]) == []


def test_a_list_of_numbers_is_refused(fp32: Model) -> None:
    with pytest.raises(TextError, match="text is int 101; give a str"):
        fp32([101, 2204, 102])  # type: ignore[list-item]


def test_a_dictionary_is_not_taken_for_the_texts_of_its_keys(fp32: Model) -> None:
    with pytest.raises(TextError, match=r"text is dict .*; give a str, a pair, or an iterable of them"):
        fp32({"text": "a good film"})  # type: ignore[call-overload]


@pytest.mark.parametrize("batch_size", [0, -1])
@pytest.mark.parametrize("kind", [list, iter])
def test_a_batch_of_less_than_one_text_is_refused(
    fp32: Model, batch_size: int, kind: Callable[[list[str]], Any]
) -> None:
    with pytest.raises(InputError, match=f"batch_size is {batch_size}"):
        list(fp32(kind(TEXTS), batch_size=batch_size))


@pytest.mark.parametrize("texts", [["a", "b", " "], ["a", "b", " ", "a"]])
def test_a_text_that_cannot_be_answered_is_named_by_its_place(
    texts: list[str], by_hand: tuple[Model, CountingSession]
) -> None:
    model, _ = by_hand
    for act in (model, model.raw):
        with pytest.raises(TextError, match=f"^text 3 of {len(texts)}: text '' holds no token"):
            act(texts)
    for batch_size in (1, 2, 9):
        with pytest.raises(TextError, match=r"^text 3: text '' holds no token"):
            list(model(iter(texts), batch_size=batch_size))


@pytest.mark.parametrize("alone", [" ", [" "]])
def test_a_text_alone_has_no_place(alone: Any, by_hand: tuple[Model, CountingSession]) -> None:
    with pytest.raises(TextError, match=r"^text '' holds no token"):
        by_hand[0](alone)


def test_the_batches_before_it_are_answered(by_hand: tuple[Model, CountingSession]) -> None:
    model, _ = by_hand
    answers = model(iter(["a", "b", "a", " "]), batch_size=2)
    assert [next(answers).given, next(answers).given] == ["a", "b"]
    with pytest.raises(TextError, match=r"^text 4: "):
        next(answers)


def test_an_iterator_is_answered_lazily_one_batch_ahead(by_hand: tuple[Model, CountingSession]) -> None:
    taken: list[str] = []

    def texts() -> Iterator[str]:
        for at in range(10):
            taken.append("a " * (at + 1))
            yield taken[-1]

    model, _ = by_hand
    answers = model(texts(), batch_size=3)
    assert taken == []
    first = next(answers)
    assert len(taken) == 3
    next(answers), next(answers)
    assert len(taken) == 3
    next(answers)
    assert len(taken) == 6
    assert first == Answer("a ", [3], [[1, 3, 2]])
    assert [answer.given for answer in answers] == taken[4:]


def test_texts_of_like_length_share_a_batch_and_answers_keep_their_order(
    by_hand: tuple[Model, CountingSession],
) -> None:
    model, session = by_hand
    texts = ["a", "a a a a a", "a a", "a a a a a", "a"]
    assert [float(tokens[0]) for tokens, _ in model.raw(texts, batch_size=2)] == [3, 7, 4, 7, 3]
    assert session.shapes == [(2, 3), (2, 7), (1, 7)]


LONG = ["a", "a b b a b b a b b a b b", "b b", "a a a b a a a", "b a b a b a"]
WINDOWS = [1, 3, 1, 2, 1]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 32])
@pytest.mark.parametrize("kind", [list, iter])
def test_every_text_gets_the_outputs_of_its_own_windows(
    by_hand: tuple[Model, CountingSession], batch_size: int, kind: Callable[[list[str]], Any]
) -> None:
    model, session = by_hand
    answers = list(model(kind(LONG), batch_size=batch_size))
    windows = [model.task.encode(text) for text in LONG]
    assert [len(several) for several in windows] == WINDOWS
    # There is no padding id in it, although a batch has windows of different lengths.
    expected = [
        Answer(text, [len(window.ids) for window in several], [window.ids for window in several])
        for text, several in zip(LONG, windows, strict=True)
    ]
    assert answers == expected
    assert [model(text) for text in LONG] == expected
    assert max(shape[0] for shape in session.shapes) <= batch_size


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_where_nothing_may_be_padded_windows_of_one_length_share_a_batch(
    by_hand: tuple[Model, CountingSession], batch_size: int
) -> None:
    model, _ = by_hand
    expected, session = model(LONG), CountingUnpadded()
    model.run_on(session)
    assert model(LONG, batch_size=batch_size) == expected
    lengths = [len(window.ids) for text in LONG for window in model.task.encode(text)]
    shapes = session.counting.shapes
    assert sum(rows for rows, _ in shapes) == len(lengths)
    assert len(set(lengths)) < len(lengths)
    assert len(shapes) == sum(-(-lengths.count(length) // batch_size) for length in set(lengths))


def test_raw_outputs_are_those_of_every_window_in_order(by_hand: tuple[Model, CountingSession]) -> None:
    model, _ = by_hand
    windows = [window for text in LONG for window in model.task.encode(text)]
    for outputs in (model.raw(LONG, batch_size=3), model.outputs(windows, batch_size=3)):
        assert [ids.tolist() for _, ids in outputs] == [window.ids for window in windows]


def test_raw_outputs_of_a_bare_string_are_refused(by_hand: tuple[Model, CountingSession]) -> None:
    """A string is a sequence of strings: without the check, each letter would get an answer."""
    model, _ = by_hand
    with pytest.raises(TextError, match="list"):
        model.raw("a b")


ROWS = [Encoded([1, 5, 6, 2], [0, 0, 1, 1]), Encoded([1, 2], [0, 0])]


def test_token_ids_run_as_one_padded_batch(by_hand: tuple[Model, CountingSession]) -> None:
    model, session = by_hand
    tokens, ids = model.run_encoded(ROWS)
    assert tokens.tolist() == [[4], [2]]
    assert ids.tolist() == [[1, 5, 6, 2], [1, 2, 9, 9]]
    assert session.shapes == [(2, 4)]


@pytest.mark.parametrize("pad_id", [0, 7])
def test_inputs_are_padded_to_the_longest_and_masked(pad_id: int) -> None:
    names = ["input_ids", "attention_mask", "token_type_ids"]
    arrays = padded_inputs(ROWS, names, pad_id)
    assert list(arrays) == names
    assert all(array.dtype == np.int64 for array in arrays.values())
    assert arrays["input_ids"].tolist() == [[1, 5, 6, 2], [1, 2, pad_id, pad_id]]
    assert arrays["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert arrays["token_type_ids"].tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]
    assert list(padded_inputs(ROWS, names[:2], pad_id)) == names[:2]


def test_a_split_batch_has_no_rows_of_padding_where_there_is_a_row_a_token() -> None:
    # A session may pad to more than the longest window.
    rows, whole = np.arange(36.0).reshape(2, 6, 3), np.array([[1.0], [2.0]])
    first, second = split_batch((rows, whole), ROWS, {"rows": True, "whole": False})
    assert [output.tolist() for output in first] == [rows[0, :4].tolist(), [1.0]]
    assert [output.tolist() for output in second] == [rows[1, :2].tolist(), [2.0]]


def test_a_graph_with_another_number_of_outputs_is_no_answer() -> None:
    with pytest.raises(ValueError, match="zip"):
        split_batch((np.zeros((2, 1)),), ROWS, {"rows": True, "whole": False})
