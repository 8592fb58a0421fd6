"""Progress bars on stderr."""

import pytest

from edgebert.compress.progress import end_bars, progress


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
