"""Progress of a call: on a terminal and elsewhere, for lists and iterators, and if a call fails."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzz.answering import make_model, wordpiece
from small_bundle import write_small_bundle

import edgebert
from edgebert.errors import TextError
from edgebert.runtime.model import Model
from edgebert.runtime.progress import Progress, shown

LAST = r"\[5/5\] \S+ texts a second; \d+ s"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("edgebert.runtime.progress.time.monotonic", clock)
    return clock


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Model]:
    with edgebert.load(write_small_bundle(tmp_path / "small")) as model:
        yield model


def steps(clock: Clock, *counts: tuple[float, float], total: int | None = 100, quiet_s: float = 0.0) -> None:
    with shown(True, total, quiet_s) as advance:
        for seconds, texts in counts:
            clock.seconds += seconds
            advance(texts)


def test_on_a_terminal_one_line_changes_and_the_last_one_stays(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    steps(clock, (0.1, 5), (0.2, 10), (0.1, 5), (9.6, 80))
    assert screen.getvalue().split("\r\x1b[K")[1:] == [
        "[0/100] texts",
        "[15/100] 50 texts a second; 2 s left",
        "[100/100] 10 texts a second; 0 s left",
        "[100/100] 10 texts a second; 10 s\n",
    ]


def test_elsewhere_a_line_stands_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    steps(clock, *[(1.0, 2.0)] * 20)
    assert capsys.readouterr().err.splitlines() == [
        "[30/100] 2.0 texts a second; 35 s left",
        "[40/100] 2.0 texts a second; 20 s",
    ]


def test_what_is_soon_over_is_not_mentioned_if_so_asked(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    steps(clock, (14.0, 100), quiet_s=2.0)
    assert capsys.readouterr().err == ""
    steps(clock, (15.0, 150), total=None, quiet_s=2.0)
    assert capsys.readouterr().err == "[150] 10 texts a second\n[150] 10 texts a second; 15 s\n"


def test_a_terminal_waits_two_seconds_if_so_asked(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", screen := Screen())
    steps(clock, (1.9, 100), quiet_s=2.0)
    assert screen.getvalue() == ""
    steps(clock, (2.0, 100), quiet_s=2.0)
    assert screen.getvalue().startswith("\r\x1b[K[100/100] 50 texts a second; 0 s left")


def test_a_line_never_wraps(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    monkeypatch.setattr("sys.stderr", screen := Screen())
    Progress(1_000_000)
    assert screen.getvalue() == "\r\x1b[K[0/1000000"


def test_standard_error_that_is_closed_stops_nothing(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    monkeypatch.setattr("sys.stderr", closed)
    with shown(True, 1) as advance:
        closed.close()
        advance(1)
    monkeypatch.setattr("sys.stderr", None)
    assert [answer.label for answer in small(["a"], progress=True)] == ["short"]


def test_a_list_is_counted_and_answers_stay_the_same(small: Model, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["a", "b a", "a b b", "b b b b", "a a a a a a a a a a"]
    expected = small(texts, batch_size=2)
    assert capsys.readouterr().err == ""
    assert small(texts, batch_size=2, progress=True) == expected
    assert re.fullmatch(LAST + "\n", capsys.readouterr().err)
    assert len(small.pipeline(texts, progress=True)) == 5
    assert re.fullmatch(LAST + "\n", capsys.readouterr().err)


def test_an_iterator_is_counted_as_it_is_answered(small: Model, capsys: pytest.CaptureFixture[str]) -> None:
    answers = small((text for text in ["a", "b", "a b"]), batch_size=2, progress=True)
    assert capsys.readouterr().err == ""
    assert len(list(answers)) == 3
    assert re.fullmatch(r"\[3\] \S+ texts a second; \d+ s\n", capsys.readouterr().err)


def test_a_single_text_needs_no_line(small: Model, capsys: pytest.CaptureFixture[str]) -> None:
    small("a", progress=True)
    assert capsys.readouterr().err == ""


def test_an_error_begins_a_line_of_its_own(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", screen := Screen())
    with pytest.raises(TextError):
        small(["a", "", 5], progress=True)
    assert screen.getvalue().endswith("\r\x1b[K[0/3] texts\n")


@pytest.mark.parametrize("progress", [1, "yes", None])
def test_progress_is_true_or_false(small: Model, progress: Any) -> None:
    for ask in (small, small.pipeline):
        with pytest.raises(TypeError, match=r"progress is .*; give True or False"):
            ask(["a"], progress=progress)


@pytest.mark.parametrize("task", ["question-answering", "fill-mask", "similarity", "rerank"])
def test_windows_and_batches_of_every_task_add_up_to_the_texts(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(task, wordpiece(tmp_path), segments=1 + (task == "rerank"), max_length=16)
    long = "the cat sat on the mat " * 20
    texts: dict[str, list[Any]] = {
        "question-answering": [("who sat", long), ("who", "the cat")] + [("what", "a mat")] * 3,
        "fill-mask": ["the [MASK] sat"] * 5,
        "rerank": [("who", long)] * 5,
        "similarity": ["the cat", ("one", "two"), *["mat"] * 3],
    }
    model(texts[task], batch_size=2, progress=True)
    assert re.fullmatch(LAST + "\n", capsys.readouterr().err)


def test_embeddings_and_ranks_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["one", "two", "three", "four", "five"]
    sentences: Any = make_model("similarity", wordpiece(tmp_path), max_length=16)
    ranker: Any = make_model("rerank", wordpiece(tmp_path), segments=2, max_length=16)
    asks = [
        lambda shows: sentences.embed(texts, progress=shows).tolist(),
        lambda shows: sentences.search("two", texts, progress=shows)[0].tolist(),
        lambda shows: ranker.rank("two", texts, progress=shows),
    ]
    for ask in asks:
        expected = ask(False)
        assert capsys.readouterr().err == ""
        assert ask(True) == expected
        assert re.fullmatch(LAST + "\n", capsys.readouterr().err)
    with pytest.raises(TypeError, match="progress"):
        sentences.embed(texts, progress=1)
