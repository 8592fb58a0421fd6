"""Words to windows, tag scores to entities: window borders, exact offsets, tags that a scheme forbids."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, normalizers
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from edgebert.data.tags import Scheme, spans, tag_set
from edgebert.data.words import Words
from edgebert.errors import TextError
from edgebert.runtime.encode import Encoded, TextEncoder
from edgebert.runtime.tagging import Settings, Tagger
from edgebert.runtime.word_places import word_places

TAGS = tag_set(["PER", "LOC"], "BIO")
PEOPLE = {"ann": "B-PER", "lee": "I-PER", "rome": "B-LOC"}


@pytest.fixture
def encoder(tmp_path: Path) -> Callable[[int], TextEncoder]:
    """An encoder that makes one token per letter, except for names, which are one token."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["[UNK]", "[CLS]", "[SEP]", *PEOPLE, *letters, *(f"##{letter}" for letter in letters), *".,!"]
    tokenizer = Tokenizer(WordPiece({piece: at for at, piece in enumerate(pieces)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return lambda max_length: TextEncoder(tmp_path / "tokenizer.json", max_length)


def tagger_of(encoder: Any, scheme: Scheme = "BIO", stride: int = 4, tags: list[str] = TAGS) -> Tagger:
    return Tagger(tags, (), Settings(scheme=scheme, stride=stride), encoder)


def test_characters_are_counted_over_all_words_and_the_spaces_between(
    encoder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgebert.runtime.encode.MAX_CHARACTERS", 100)
    tagger = tagger_of(encoder(32))
    for given in ("ann" + " " * 97, Words(("ann",) * 25), Words(("ann", *[""] * 97))):
        assert tagger.encode(given)
    for given in ("ann" + " " * 98, Words(("ann",) * 26), Words(("ann", *[""] * 98))):
        with pytest.raises(TextError, match=r"the text has 10\d characters, more than 100; split it"):
            tagger.encode(given)


@pytest.mark.parametrize(
    ("tags", "values", "fact"),
    [
        (["O", *(f"B-{at}" for at in range(4096))], (), "4097 tags; expected at most 4096"),
        (["O", "B-A"], ["O", "A"], "tag 'A' is not a tag of the scheme BIO"),
        (["O", "B-A"], ["B-A", "B-B"], "the tags lack 'O'"),
    ],
)
def test_tags_that_no_table_can_hold_or_no_file_has_are_refused(tags: list[str], values: Any, fact: str) -> None:
    with pytest.raises(ValueError, match=fact):
        Tagger(tags, values, Settings(), Any)


def scores_of(window: Encoded, blind: int = 0, first: bool = True, last: bool = True) -> Any:
    """Logits that detect names, except in the `blind` tokens next to a window border inside the text."""
    scores = np.zeros((len(window.ids), len(TAGS)), dtype=np.float32)
    known = {3 + at: TAGS.index(tag) for at, tag in enumerate(PEOPLE.values())}
    for row, number in enumerate(window.ids):
        near = (not first and row - 1 < blind) or (not last and len(window.ids) - 2 - row < blind)
        scores[row, 0 if near else known.get(number, 0)] = 8.0
    return scores


def read(tagger: Tagger, given: str | Words, blind: int = 0) -> Any:
    windows = tagger.encode(given)
    last = len(windows) - 1
    return tagger.read(given, windows, [scores_of(w, blind, at == 0, at == last) for at, w in enumerate(windows)])


def test_entities_have_label_text_place_and_score(encoder: Any) -> None:
    text = "  Ann\tLee, of  Rome!"
    tagged = read(tagger_of(encoder(32)), text)
    assert [(entity.label, entity.text, entity.start, entity.end) for entity in tagged.entities] == [
        ("PER", "Ann\tLee", 2, 9),
        ("LOC", "Rome", 15, 19),
    ]
    # B- and I- of the label, added.
    probability = (np.exp(8) + 1) / (np.exp(8) + len(TAGS) - 1)
    assert [entity.score for entity in tagged.entities] == pytest.approx([probability] * 2)
    assert tagged.words == ("Ann", "Lee", ",", "of", "Rome", "!")
    assert tagged.tags == ("B-PER", "I-PER", "O", "O", "B-LOC", "O")
    assert list(map(str, tagged.entities)) == ["PER:Ann Lee", "LOC:Rome"]


def test_a_tag_that_the_scheme_puts_right_scores_as_its_label_does(encoder: Any) -> None:
    tagger = tagger_of(encoder(32))
    (window,) = tagger.encode("Rome")
    logits = np.zeros((len(window.ids), len(TAGS)), np.float32)
    logits[1, TAGS.index("I-LOC")], logits[1, TAGS.index("B-LOC")] = 9.0, 7.0
    (entity,) = tagger.read("Rome", [window], [logits]).entities
    assert (entity.label, entity.text) == ("LOC", "Rome")
    others = len(TAGS) - 2
    assert entity.score == pytest.approx((np.exp(9) + np.exp(7)) / (np.exp(9) + np.exp(7) + others))


def test_words_are_taken_as_they_are_with_places_in_the_joined_text(encoder: Any) -> None:
    given = Words(("Ann", "Lee,", "", "Rome"))
    tagged = read(tagger_of(encoder(32)), given)
    assert tagged.words == given.words
    assert [(entity.text, entity.start, entity.end) for entity in tagged.entities] == [
        ("Ann Lee,", 0, 8),
        ("Rome", 10, 14),
    ]
    assert all(str(given)[entity.start : entity.end] == entity.text for entity in tagged.entities)


@pytest.mark.parametrize("max_length", [8, 9, 12, 16, 40])
@pytest.mark.parametrize("stride", [0, 1, 4, 255])
@pytest.mark.parametrize("seed", range(6))
def test_every_word_is_read_once_at_its_first_piece_furthest_from_a_border(
    encoder: Any, max_length: int, stride: int, seed: int
) -> None:
    random_ = random.Random(seed)
    given = Words(tuple(random_.choice(["ann", "abc", "x", "\x00", "longword" * 3]) for _ in range(24)))
    tagger = tagger_of(encoder(max_length), stride=stride)
    windows = tagger.encode(given)
    assert max(len(window.ids) for window in windows) <= max_length
    places = word_places(windows, len(given.words))
    whole = tagger_of(encoder(512)).encode(given)[0]
    for word, place in enumerate(places):
        rows = [row for row, number in enumerate(whole.words) if number == word]
        assert (place is None) == (not rows) == (given.words[word] == "\x00")
        if place is not None:
            window, row = place
            assert windows[window].words[row] == word
            assert windows[window].ids[row] == whole.ids[rows[0]], "not the word's first piece"
            assert margin(windows, *place) == max(
                margin(windows, at, other.words.index(word))
                for at, other in enumerate(windows)
                if word in other.words and other.ids[other.words.index(word)] == whole.ids[rows[0]]
            )


def margin(windows: list[Encoded], at: int, row: int) -> int:
    """Tokens between a row and the nearer window border that is not an end of the text."""
    inner = [1000 if at == 0 else row - 1, 1000 if at == len(windows) - 1 else len(windows[at].ids) - 2 - row]
    return min(inner)


@pytest.mark.parametrize("shift", range(12))
def test_an_entity_across_a_border_is_found_whole_and_once(encoder: Any, shift: int) -> None:
    """A model that is blind next to a border misses it in both windows, at some shift."""
    text = " ".join(["x"] * shift + ["Ann", "Lee"] + ["x"] * (22 - shift))
    tagger = tagger_of(encoder(12), stride=4)
    assert len(tagger.encode(text)) > 2
    for blind in (0, 1, 2):
        tagged = read(tagger, text, blind)
        assert [(entity.label, entity.text) for entity in tagged.entities] == [("PER", "Ann Lee")], f"blind {blind}"
        assert tagged.entities[0].start == 2 * shift


def test_windows_of_a_short_model_still_go_on(encoder: Any) -> None:
    """A stride as large as the window would give steps of one token."""
    windows = tagger_of(encoder(10), stride=255).encode(" ".join(["x"] * 400))
    assert len(windows) <= 100


@pytest.mark.parametrize(
    "text",
    [
        "e\u0301 Ann\u0301 Lee",
        "🙂Ann🙂 Rome",
        "Ann\u200b Lee\u200d",
        "\x00 Ann \x07 Rome\x00",
        "東Ann京 Rome",
        "\u00a0Ann\u3000Lee\u2028",
        "ANN, LEE. ROME!!!",
        "  \t Ann\n\nLee  Rome ",
        "(Ann) “Rome” @Lee #Rome",
    ],
)
@pytest.mark.parametrize("max_length", [8, 64])
def test_an_entity_is_exactly_what_stands_at_its_place(encoder: Any, text: str, max_length: int) -> None:
    tagged = read(tagger_of(encoder(max_length)), text)
    assert tagged.entities
    for entity in tagged.entities:
        assert entity.text == text[entity.start : entity.end]
        assert entity.text.strip() == entity.text
    assert len(tagged.words) == len(tagged.tags)


@pytest.mark.parametrize("char", list("\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"))
def test_a_form_feed_inside_an_entity_keeps_its_place(encoder: Any, char: str) -> None:
    """It splits the words of a raw text, but can occur inside a word of a list."""
    text = f"x ann{char}lee, rome{char}"
    found = read(tagger_of(encoder(32)), text)
    assert [(each.text, each.start, each.end) for each in found.entities] == [
        (f"ann{char}lee", 2, 9),
        ("rome", 11, 15),
    ]
    assert found.words == ("x", "ann", "lee", ",", "rome")
    words = Words(("x", f"ann{char}", "lee", char, "rome"))
    found = read(tagger_of(encoder(32)), words)
    assert found.words == words.words
    assert [(each.label, each.text) for each in found.entities] == [("PER", f"ann{char} lee"), ("LOC", "rome")]
    assert all(str(words)[each.start : each.end] == each.text for each in found.entities)


def test_a_word_without_a_piece_is_outside(encoder: Any) -> None:
    tagged = read(tagger_of(encoder(32)), "Ann \x07 Rome")
    assert tagged.tags == ("B-PER", "O", "B-LOC")


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "IOB1"])
@pytest.mark.parametrize("seed", range(8))
def test_of_the_tags_that_a_scheme_allows_the_likeliest_are_chosen(encoder: Any, scheme: Scheme, seed: int) -> None:
    tags = tag_set(["PER", "LOC"], scheme)
    tagger = tagger_of(encoder(32), scheme, tags=tags)
    text = "a b c d"
    windows = tagger.encode(text)
    scores = np.random.default_rng(seed).normal(size=(6, len(tags))).astype(np.float32)
    logarithms = scores[1:5] - np.log(np.exp(scores[1:5]).sum(1, keepdims=True))
    best = max(
        (logarithms[range(4), path].sum(), path) for path in np.ndindex(*[len(tags)] * 4) if allowed(tags, path, scheme)
    )
    tagged = tagger.read(text, windows, [scores])
    assert [(entity.label, entity.text) for entity in tagged.entities] == [
        (span.label, " ".join(text.split()[span.first : span.end])) for span in spans([tags[at] for at in best[1]])
    ]


def allowed(tags: list[str], path: tuple[int, ...], scheme: Scheme) -> bool:
    from edgebert.data.tags import repaired

    chosen = [tags[at] for at in path]
    return repaired(chosen, scheme) == chosen


@pytest.mark.parametrize(
    ("given", "fact"),
    [
        ("", "holds no token"),
        (" \t", r"text ' \\t' holds no token"),
        (Words(()), "holds no token"),
        (Words(("\x00", "")), "holds no token"),
        (Words(("a", 5)), "word is int 5"),  # type: ignore[arg-type]
        ("a \ud83d", "text holds the lone surrogate '\\\\ud83d' at character 2"),
        (("a", "b"), "pair of texts was given"),
        (5, "text is int 5; give a str"),
    ],
)
def test_what_is_neither_text_nor_words_is_refused(encoder: Any, given: Any, fact: str) -> None:
    with pytest.raises(TextError, match=fact):
        tagger_of(encoder(32)).encode(given)


def test_words_of_a_text_stand_where_they_stand() -> None:
    words_of = Tagger(["O", "B-a"], (), Settings(), None).words_of
    assert words_of(Words(("ab", "", "c"))) == ("ab  c", [(0, 2), (3, 3), (4, 5)])
    assert words_of(" a, b") == (" a, b", [(1, 2), (2, 3), (4, 5)])
