"""Question answering on the device: windows, outputs to answers, no answer, long contexts."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from manifests import facts_of
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from edgebert.data.examples import Columns, Example
from edgebert.data.squad import Answer
from edgebert.errors import DataError, SettingsError, TextError
from edgebert.runtime.batches import ANY_LENGTHS
from edgebert.runtime.encode import TextEncoder
from edgebert.runtime.model import Model
from edgebert.settings import fill
from edgebert.tasks.question_answering.predict import FoundAnswer, QuestionAnswering
from edgebert.tasks.question_answering.spec import Settings, read

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS)]
VOCABULARY += ["who", "answer", "begins", "ends", "filler", "cafe"]
BEGINS, ENDS = VOCABULARY.index("begins"), VOCABULARY.index("ends")


class ById:
    """Answers with start and end logits that depend only on the token; records the lengths of its inputs."""

    batching = ANY_LENGTHS

    def __init__(self, start: dict[int, float], end: dict[int, float]) -> None:
        self.start, self.end = start, end
        self.shapes: list[tuple[int, ...]] = []

    def run(self, inputs: dict[str, Any]) -> Any:
        ids = inputs["input_ids"]
        self.shapes.append(ids.shape)
        tables = [np.array([logits.get(at, 0.0) for at in range(len(VOCABULARY))]) for logits in (self.start, self.end)]
        return tuple(table[ids].astype(np.float32) for table in tables)


class Random:
    """Random logits, with one table for every window."""

    batching = ANY_LENGTHS

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def run(self, inputs: dict[str, Any]) -> Any:
        shape = inputs["input_ids"].shape
        return tuple(self.random.normal(size=shape).astype(np.float32) for _ in range(2))


Make = Callable[..., Model]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """A model with a hand-made session."""
    tokenizer = Tokenizer(WordPiece({token: at for at, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    path = tmp_path_factory.mktemp("answers") / "tokenizer.json"
    tokenizer.save(str(path))

    def make(session: Any, max_length: int = 32, head: dict[str, Any] | None = None, **settings: Any) -> Model:
        inputs = ["input_ids", "attention_mask", "token_type_ids"]
        manifest = {"labels": [], "inputs": inputs, "segments": 2, "head": {"settings": settings, **(head or {})}}
        return Model(facts_of(manifest), QuestionAnswering(facts_of(manifest), TextEncoder(path, max_length)), session)

    return make


def pointing(cls: float = 0.0, begins: float = 5.0, ends: float = 4.0) -> ById:
    return ById({BEGINS: begins, 2: cls}, {ENDS: ends, 2: 0.0})


CONTEXT = "Zoë 🙂🙂\tfiller Begins here (it\nENDS) filler."


def test_the_answer_is_the_stretch_of_the_context_as_it_stands_there(make: Make) -> None:
    found = make(pointing(), max_length=64)(("who", CONTEXT))
    assert found.answer == "Begins here (it\nENDS"
    assert CONTEXT[found.start : found.end] == found.answer
    tokens = 3 + 1 + 1 + 1 + 4 + 1 + 2 + 1 + 1 + 1 + 1
    assert found.score == pytest.approx(np.exp(9) / (np.exp(5) + tokens) / (np.exp(4) + tokens), rel=1e-6)
    assert found.candidate == found.answer
    assert found.no_answer_score is None


def test_an_answer_is_a_line_and_plain_json(make: Make) -> None:
    found = make(pointing(), max_length=64)(("who", CONTEXT))
    assert str(found) == f"Begins here (it ENDS\t{found.score:.4f}"
    assert json.loads(json.dumps(asdict(found)))["start"] == 14
    assert str(FoundAnswer("", None, None, 0.75, "x", 2.5)) == "(no answer)\t0.7500"


def test_accents_emoji_and_tabs_are_kept_at_the_ends_of_an_answer(make: Make) -> None:
    session = ById({VOCABULARY.index("cafe"): 5.0}, {VOCABULARY.index("cafe"): 5.0})
    for context, answer in [
        ("\ta 🙂 Cafe\u0301 b", "Cafe\u0301"),
        ("é\u00a0Café", "Café"),
        ("🙂🙂 «CAFÉ»", "CAFÉ"),
        ("a\x00b cafe", "cafe"),
    ]:
        found = make(session)(("who", context))
        assert (found.answer, context[found.start : found.end]) == (answer, answer)


def by_trying(model: Model, windows: Any, outputs: Any, longest: int) -> tuple[float, int, int]:
    """The best of all starts and ends in all windows."""
    best = (-np.inf, -1, -1)
    for window, (starts, ends) in zip(windows, outputs, strict=True):
        for first, opening in enumerate(window.offsets):
            for last, closing in enumerate(window.offsets):
                if opening and closing and first <= last < first + longest:
                    best = max(best, (float(starts[first]) + float(ends[last]), opening[0], closing[1]))
    return best


@pytest.mark.parametrize("words", [1, 9, 60])
@pytest.mark.parametrize("longest", [1, 4, 30])
def test_the_best_span_of_all_windows_is_found(words: int, longest: int, make: Make) -> None:
    model = make(Random(), 20, max_answer_length=longest, stride=4)
    given = ("who is", " ".join(LETTERS[at * 7 % 26] * (at % 3 + 1) for at in range(words)))
    windows = model.task.encode(given)
    outputs = model.outputs(windows)
    found = model.task.decode(given, windows, outputs)
    start, end = by_trying(model, windows, outputs, longest)[1:]
    assert (found.start, found.end) == (start, end)
    assert found.answer == given[1][start:end]
    assert 0 < found.score < 1


@pytest.mark.parametrize("max_length", [12, 20, 33])
@pytest.mark.parametrize("stride", [0, 3, 128])
def test_windows_hold_every_short_span_of_the_context(max_length: int, stride: int, make: Make) -> None:
    model = make(Random(), max_length, stride=stride)
    context = " ".join(LETTERS[at * 7 % 26] for at in range(70))
    windows = model.task.encode(("who", context))
    room = max_length - 4
    shared = min(stride, room // 2)
    assert len(windows) == 1 + -(-(70 - room) // (room - shared))
    assert all(len(window.ids) <= max_length for window in windows)
    held = {offset for window in windows for offset in window.offsets if offset}
    assert sorted(held) == [(2 * at, 2 * at + 1) for at in range(70)]
    # Every span with one token more than the overlap is complete in one of the windows.
    inside = [[offset[0] // 2 for offset in window.offsets if offset] for window in windows]
    for start in range(70 - shared):
        assert any(start in numbers and start + shared in numbers for numbers in inside)


def test_a_context_of_a_megabyte_is_read_to_its_end(make: Make) -> None:
    session = pointing()
    before = "filler 🙂é filler,\n" * 30_000
    context = f"{before}Begins the answer ends filler{' filler' * 70_000}"
    assert len(context.encode()) > 2**20
    found = make(session, max_length=384)(("who", context))
    assert (found.answer, found.start) == ("Begins the answer ends", len(before))
    assert context[found.start : found.end] == found.answer
    assert max(shape[1] for shape in session.shapes) == 384
    assert sum(shape[0] for shape in session.shapes) > 700


def test_one_question_or_a_list_or_an_iterator_of_them(make: Make) -> None:
    model = make(pointing(), 16)
    questions = [("who", "filler begins ends"), ("who is it", f"begins{' filler' * 40} ends"), ("who", "ends")]
    answers = model(questions, batch_size=2)
    assert [answer.answer for answer in answers] == ["begins ends", "begins", "ends"]
    assert answers == list(model(iter(questions))) == [model(question) for question in questions]


@pytest.mark.parametrize("wrap", [lambda given: given, lambda given: [("who", "x"), given]])
@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("who is it", "the single text 'who is it' was given, but this bundle answers questions; give (question, con"),
        (("who",), "a tuple of 1 was given; give (question, context)"),
        (("who", "x", "y"), "a tuple of 3 was given; give (question, context)"),
        (("", "x"), "question '' holds no token; give at least one word"),
        ((" \n", "x"), "question ' \\n' holds no token; give at least one word"),
        (("who", ""), "context '' holds no token; give at least one word"),
        (("who", "\t\u200b"), "holds no token; give at least one word"),
        (("who", None), "context is NoneType None; give a str"),
        ((5, "x"), "question is int 5; give a str"),
        (("who", "x\ud83d"), "context holds the lone surrogate '\\ud83d' at character 1"),
        (("a" * 13, "x"), "the question has 13 tokens, which leaves no room for the context in a window of 16"),
        (("a " * 9999, "x"), "the question has 9999 tokens, which leaves no room for the context in a window of 16"),
    ],
)
def test_what_is_no_question_with_a_context_is_refused(
    wrap: Callable[[Any], Any], given: Any, says: str, make: Make
) -> None:
    with pytest.raises(TextError) as caught:
        make(pointing(), 16)(wrap(given))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_other_things_in_a_list_are_refused(make: Make) -> None:
    with pytest.raises(TextError, match=r"list \['who', 'x'\] was given, .*give \(question, context\)"):
        make(pointing())([["who", "x"]])


IMPOSSIBLE = {"may_have_no_answer": True}


@pytest.mark.parametrize(
    ("head", "cls", "answered"),
    [
        ({}, 100.0, True),
        (IMPOSSIBLE, 8.0, True),
        (IMPOSSIBLE, 9.0, True),
        (IMPOSSIBLE, 10.0, False),
        (IMPOSSIBLE | {"no_answer_threshold": 1.5}, 10.0, True),
        (IMPOSSIBLE | {"no_answer_threshold": -1.5}, 8.0, False),
        (IMPOSSIBLE | {"no_answer_threshold": -1.5}, 7.0, True),
    ],
)
def test_there_is_no_answer_where_cls_outdoes_the_best_span_by_more_than_the_threshold(
    head: dict[str, Any], cls: float, answered: bool, make: Make
) -> None:
    found = make(pointing(cls), head=head)(("who", "filler begins it ends"))
    assert found.candidate == "begins it ends"
    assert (found.answer, found.start, found.end) == (("begins it ends", 7, 21) if answered else ("", None, None))
    assert found.no_answer_score == (cls - 9.0 if head else None)
    assert str(found).startswith("begins it ends\t" if answered else "(no answer)\t")
    others = 4
    starts, ends = np.exp([cls, 5.0]).sum() + others, np.exp([0.0, 4.0]).sum() + others
    assert found.score == pytest.approx(np.exp(9.0 if answered else cls) / starts / ends, rel=1e-6)


class ByWindow:
    """[CLS] and the span of each window."""

    batching = ANY_LENGTHS

    def __init__(self, *windows: tuple[float, float]) -> None:
        self.windows = windows

    def run(self, inputs: dict[str, Any]) -> Any:
        ids = inputs["input_ids"]
        starts = np.zeros(ids.shape, dtype=np.float32)
        # All tokens of these contexts differ, and windows are sorted only by length.
        for row, window in enumerate(ids):
            null, best = self.windows[{4: 0, 9: 1, 14: 2}[int(window[3])]]
            starts[row, 0], starts[row, 4] = null, best
        return starts, np.zeros_like(starts)


def test_of_several_windows_the_least_sure_of_no_answer_counts(make: Make) -> None:
    """Most windows of a long context have no answer, and this must not count as no answer for the text."""
    context = " ".join("abcdefghijklmno")
    settings = {"max_length": 9, "head": IMPOSSIBLE, "stride": 0}
    model = make(ByWindow((9.0, 1.0), (2.0, 3.0), (9.0, 0.0)), **settings)
    assert len(model.task.encode(("who", context))) == 3
    found = model(("who", context))
    assert (found.answer, found.no_answer_score) == ("g", -1.0)
    found = make(ByWindow((9.0, 1.0), (4.0, 3.0), (9.0, 0.0)), **settings)(("who", context))
    assert (found.answer, found.candidate, found.no_answer_score) == ("", "g", 1.0)
    assert found.score == pytest.approx(np.exp(4) / (np.exp(4) + np.exp(3) + 4) / 6, rel=1e-6)


def test_settings_out_of_range_are_refused() -> None:
    assert fill(Settings, {}, "r.toml") == Settings(128, 30, "refuse")
    for table, says in [
        ({"stride": -1}, "'head.stride' is -1"),
        ({"max_answer_length": 0}, "'head.max_answer_length' is 0"),
        ({"misplaced_answers": "ignore"}, "'head.misplaced_answers' is 'ignore'; expected one of 'refuse', 'repair'"),
        ({"threshold": 1}, "unknown key 'head.threshold'"),
    ]:
        with pytest.raises(SettingsError) as caught:
            fill(Settings, table, "r.toml", "head.")
        assert says in str(caught.value)


def test_answers_are_read_where_a_label_is_asked_for_and_repaired_where_the_settings_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"question": "who", "context": "it is Ann", "answers": [{"text": "Ann", "start": 5}]}\n')
    with pytest.raises(DataError, match="'Ann' should start at character 5"):
        read(path, Columns(), Settings())
    assert read(path, Columns(), Settings(misplaced_answers="repair"))[0].label == (Answer("Ann", 6),)
    assert "1 moved" in capsys.readouterr().err
    assert read(path, Columns(label=""), Settings())[0].label is None


def task(**head: Any) -> QuestionAnswering:
    return QuestionAnswering(facts_of({"head": {"settings": {}, **head}}), None)


def test_what_is_right_is_every_answers_text() -> None:
    right = (Answer("the", 0), Answer("Ann", 3), Answer(".", 9))
    row = Example("who", "x", right, 1, "d.json")
    assert task().given(row) == ("who", "x")
    assert task().expected(row) == ("the", "Ann", ".")
    assert task(may_have_no_answer=True).expected(row) == ("Ann",)
    assert task().expected(Example("who", "x", (), 1)) == ()
    assert task().predicted(FoundAnswer("", None, None, 0.5, "Ann", 3.0)) == ""
    with pytest.raises(DataError, match=r"^d.json: question 4: no 'answers'; expected a list of them"):
        task().expected(Example("who", "x", None, 4, "d.json"))
    with pytest.raises(DataError, match=r"^d.json: question 4: 'who' has no context"):
        task().given(Example("who", None, None, 4, "d.json"))
