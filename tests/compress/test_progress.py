"""Progress bars on stderr."""

import pytest

from edgebert.compress.progress import end_bars, progress


def test_without_a_terminal_every_state_has_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert sum(progress(range(3), desc="score test", unit="text")) == 3
    first, *_, last = capsys.readouterr().err.split("\n")[:-1]
    assert first.startswith("score test:   0%")
    assert last.startswith("score test: 100%")
    assert "3/3" in last


def test_what_follows_a_bar_that_an_error_left_standing_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def work() -> None:
        for number in progress(range(3), desc="score test"):
            assert 1 // (1 - number)

    def ended() -> None:
        try:
            work()
        finally:
            end_bars()

    with pytest.raises(ZeroDivisionError):
        ended()
    shown = capsys.readouterr().err
    assert "score test" in shown
    assert shown.endswith("\n")
    end_bars()
    assert capsys.readouterr().err == ""
