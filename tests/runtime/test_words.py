"""Raw texts are split into words with exact offsets; texts can also be given as words."""

import random
import re

import pytest

from edgebert.data.words import Words, split_words
from edgebert.errors import TextError


def words(text: str) -> list[str]:
    return [text[first:end] for first, end in split_words(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("play some jazz", ["play", "some", "jazz"]),
        (" Paris,\tLondon.\n", ["Paris", ",", "London", "."]),
        ('He said: "Go (now)!"', ["He", "said", ":", '"', "Go", "(", "now", ")", "!", '"']),
        ("wait... what?!", ["wait", "...", "what", "?", "!"]),
        ("don't rock-n-roll at 12:30 1.5", ["don't", "rock-n-roll", "at", "12:30", "1.5"]),
        ("the U.S. and J. K. Rowling, (U.K.)", ["the", "U.S.", "and", "J.", "K.", "Rowling", ",", "(", "U.K.", ")"]),
        ("end of it. at 5 a.m., option b.", ["end", "of", "it", ".", "at", "5", "a.m.", ",", "option", "b", "."]),
        ("@ann_b #now # @", ["@ann_b", "#now", "#", "@"]),
        ("$5 5% C++", ["$", "5", "5", "%", "C", "++"]),
        ("Cafe\u0301, na\u00efve", ["Cafe\u0301", ",", "na\u00efve"]),
        ("in Paris❤️!", ["in", "Paris", "❤️", "!"]),
        ("👩‍💻🇫🇷 ok", ["👩‍💻🇫🇷", "ok"]),
        ("住在東京的Ann", ["住", "在", "東", "京", "的", "Ann"]),
        ("東京タワー。", ["東", "京", "タワー", "。"]),
        ("서울 좋아", ["서울", "좋아"]),
        ("a\u200bb \ufeffc \x07 d", ["a\u200bb", "\ufeffc", "\x07", "d"]),
        ("no\u00a0break\u3000wide", ["no", "break", "wide"]),
        ("--", ["--"]),
        ("¿Qué?", ["¿", "Qué", "?"]),
        ("", []),
        (" \t\n", []),
    ],
)
def test_texts_are_split_as_worked_out_by_hand(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def nasty(seed: int) -> str:
    random_ = random.Random(seed)
    alphabet = "ab B.,!'\"@#_-$€+ \t\n\u00a0\u3000\u200b\u200d\ufe0f\u0301\x00\x07\ud83d東京タ서éß🙂👩💻🏽🇫\U0001f1f7١३"
    return "".join(random_.choices(alphabet, k=random_.randint(0, 24)))


@pytest.mark.parametrize("seed", range(300))
def test_every_character_but_white_space_is_in_exactly_one_word(seed: int) -> None:
    text = nasty(seed)
    places = split_words(text)
    inside = [at for first, end in places for at in range(first, end)]
    assert inside == [at for at, char in enumerate(text) if not char.isspace()]
    assert all(first < end for first, end in places)


@pytest.mark.parametrize("seed", range(300, 400))
def test_a_word_never_begins_with_an_accent_that_belongs_to_the_one_before(seed: int) -> None:
    text = nasty(seed)
    for first, _ in split_words(text):
        assert not (first and re.match("[\u0301\ufe0f\u200d]", text[first]) and not text[first - 1].isspace())


def test_words_are_one_text() -> None:
    assert str(Words(("a", "b c", ""))) == "a b c "
    assert Words(("a",)) == Words(("a",))


@pytest.mark.parametrize("given", ["ab", ["a", "b"], None, {"a"}])
def test_words_that_are_no_tuple_are_refused(given: object) -> None:
    with pytest.raises(TextError, match=f"words is {type(given).__name__} .*; give a tuple of strings"):
        Words(given)  # type: ignore[arg-type]
