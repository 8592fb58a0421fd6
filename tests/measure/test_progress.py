"""Progress and remaining time of a bench, on a terminal and elsewhere."""

import io

import pytest

from edgebert.measure.progress import Step, Terminal, TimeLeft
from edgebert.runtime.progress import shown_time


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_time_left_is_the_mean_of_each_kind_of_process() -> None:
    left = TimeLeft([("a", 0.0), ("a", 0.0), ("b", 0.0), ("a", 0.0), ("c", 60.0), ("c", 60.0)])
    assert left.seconds() is None
    left.took(2.0)
    assert left.seconds() == 2 + 2 + 2 + 60 + 60
    left.took(4.0)
    assert left.seconds() == 3 + 3 + 60 + 60
    left.took(12.0)
    assert left.seconds() == 3 + 60 + 60
    left.took(3.0)
    left.took(63.0)
    assert left.seconds() == 63
    left.took(61.0)
    assert left.seconds() == 0


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]
)
def test_times_are_short(seconds: float, shown: str) -> None:
    assert shown_time(seconds) == shown


def test_a_line_says_what_how_far_and_how_long() -> None:
    assert Step(3, 24, "fp32: memory").line == "[3/24] fp32: memory"
    assert Step(3, 24, "fp32: memory", 61.4).line == "[3/24] fp32: memory; 61 s left"


STEPS = [Step(1, 4, "a: x"), Step(2, 4, "b: x", 3.0), Step(3, 4, "a: x", 2.0), Step(4, 4, "b: x", 1.0)]


def test_without_a_terminal_every_case_has_one_plain_line() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    for step in STEPS:
        terminal(step)
    terminal.clear()
    terminal.say("done")
    assert stream.getvalue() == "[1/4] a: x\n[2/4] b: x; 3 s left\ndone\n"


def test_on_a_terminal_one_line_changes_and_is_gone_at_the_end() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    for step in STEPS:
        terminal(step)
    terminal.clear()
    assert screen.getvalue().split("\r\x1b[K") == ["", *(step.line for step in STEPS), ""]


def test_a_line_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    screen = Screen()
    Terminal(screen)(Step(1, 4, "a very long name"))
    assert screen.getvalue() == "\r\x1b[K[1/4] a v"
