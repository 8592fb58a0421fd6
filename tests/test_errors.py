"""Messages are one line that every terminal can show, whatever the file contains."""

from edgebert.errors import DataError, EdgeBertError, MissingColumnError


def test_a_message_shows_by_escapes_what_no_terminal_should_get() -> None:
    assert str(EdgeBertError("a\nb\r\x1b[2J\x00\x85\u2028\u202e\ud800c")) == (
        r"a\nb\r\x1b[2J\x00\x85\u2028\u202e\ud800c"
    )


def test_of_a_long_message_both_ends_are_shown() -> None:
    message = str(DataError(f"the fact {'x' * 1_000_000} the remedy"))
    assert message.startswith("the fact x")
    assert message.endswith("x the remedy")
    assert len(message) < 5_000


def test_a_message_in_any_language_stays_as_it_is() -> None:
    message = "schön: line 3: “中文” 🙂 'a\\tb' is not a number"
    assert str(DataError(message)) == message
    assert str(MissingColumnError(message, "x")) == message
