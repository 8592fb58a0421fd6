"""Text to token ids: truncation, windows of words and of a context; nothing is lost, and offsets are exact."""

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from edgebert.errors import BundleError, TextError
from edgebert.runtime.encode import Encoded, TextEncoder

LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{letter}" for letter in LETTERS), "who", "when"]
CLS, SEP = 2, 3
Make = Callable[[int], TextEncoder]


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer that makes one token per letter, with BERT's normalization and splitting."""
    tokenizer = Tokenizer(WordPiece({token: at for at, token in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = BertNormalizer(lowercase=True), BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    path = tmp_path_factory.mktemp("encode") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@pytest.fixture(scope="module")
def encoder(tokenizer_file: Path) -> Make:
    """An encoder with this tokenizer for a token limit."""
    return lambda max_length: TextEncoder(tokenizer_file, max_length)


def refused(act: Callable[[], Any]) -> str:
    with pytest.raises(TextError) as caught:
        act()
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def stitched(windows: Sequence[Sequence[Any]], stride: int) -> list[Any]:
    """Join the windows to one sequence, with each overlap only once."""
    return [*windows[0], *(item for window in windows[1:] for item in window[stride:])]


def shared(windows: Sequence[Sequence[Any]], stride: int) -> bool:
    """Whether every window begins with the end of the one before."""
    return all(list(before[len(before) - stride :]) == list(after[:stride]) for before, after in pairwise(windows))


def test_a_text_is_cut_to_the_limit_and_only_then_says_so(encoder: Make) -> None:
    whole, cut = encoder(8).encode("a b c d e f"), encoder(8).encode("a b c d e f g")
    assert whole == Encoded([CLS, 4, 5, 6, 7, 8, 9, SEP], [0] * 8, False)
    assert cut == Encoded(whole.ids, [0] * 8, True)


def test_the_longer_text_of_a_pair_is_cut(encoder: Make) -> None:
    pair = encoder(8).encode_pair("a", "b c d e f g")
    assert pair == Encoded([CLS, 4, SEP, 5, 6, 7, 8, SEP], [0, 0, 0, 1, 1, 1, 1, 1], True)


WORDS = ["when", "abc", "d", "", "efghij", "kl", "who", "m", "nopq", "r", "st", "uvwxyz", "a", "who"]


@pytest.mark.parametrize("max_length", [4, 8, 9])
def test_texts_are_cut_as_tokenizers_cuts_them(encoder: Make, tokenizer_file: Path, max_length: int) -> None:
    theirs = Tokenizer.from_file(str(tokenizer_file))
    theirs.enable_truncation(max_length, strategy="longest_first")
    for first, second in product(range(1, 12), range(1, 12)):
        texts = ("a " * first, "b " * second)
        cut = theirs.encode(*texts)
        assert encoder(max_length).encode_pair(*texts) == Encoded(cut.ids, cut.type_ids, bool(cut.overflowing))


def test_a_pair_of_two_long_texts_takes_no_more_than_their_length(encoder: Make) -> None:
    # What is left over of both in every combination, as tokenizers makes it, would be 40 million windows here.
    cut = encoder(8).encode_pair("a " * 20_000, "b " * 20_000)
    assert cut == Encoded([CLS, 4, 4, SEP, 5, 5, 5, SEP], [0, 0, 0, 0, 1, 1, 1, 1], True)


@pytest.mark.parametrize("count", [1, 5, 14, 140])
@pytest.mark.parametrize(("max_length", "stride"), [(16, 4), (16, 0), (5, 1), (16, 13), (9, 200), (512, 4)])
def test_windows_of_words_share_the_stride_and_hold_every_token(
    encoder: Make, count: int, max_length: int, stride: int
) -> None:
    words = (WORDS * 10)[:count]
    (whole,) = encoder(4000).encode_words(words, 0)
    windows = encoder(max_length).encode_words(words, stride)
    room = max_length - 2
    stride = min(stride, room - 1)
    assert all(window.ids[0] == CLS and window.ids[-1] == SEP for window in windows)
    assert all(len(window.ids) == max_length for window in windows[:-1])
    assert len(windows[-1].ids) <= max_length
    ids, numbers = [window.ids[1:-1] for window in windows], [list(window.words)[1:-1] for window in windows]
    assert shared(ids, stride)
    assert shared(numbers, stride)
    assert stitched(ids, stride) == whole.ids[1:-1]
    assert stitched(numbers, stride) == list(whole.words)[1:-1]
    assert all(window.words[0] is None and window.words[-1] is None for window in windows)
    assert not any(window.truncated for window in windows)


def test_every_token_knows_its_word(encoder: Make) -> None:
    (window,) = encoder(32).encode_words(["Ab", "\u200b", "who", "🙂", "c-d"], 4)
    assert list(window.words) == [None, 0, 0, 2, 3, 4, 4, 4, None]
    assert [VOCABULARY[at] for at in window.ids] == ["[CLS]", "a", "##b", "who", "[UNK]", "c", "[UNK]", "d", "[SEP]"]


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        ([], "holds no token; give at least one word"),
        (["", " ", "\u200b"], "holds no token; give at least one word"),
        (["a", 5], "word is int 5; give a str"),
        (["a", "b\ud83d"], "word holds the lone surrogate '\\ud83d' at character 1"),
    ],
)
def test_words_without_a_token_or_that_are_no_text_are_refused(encoder: Make, words: list[Any], fact: str) -> None:
    assert fact in refused(lambda: encoder(16).encode_words(words, 4))


CONTEXT = "Zoë saw cafe\u0301 Ⅷ, 🙂🙂 and \u200dx\x00y in İzmir (電影)!"
PIECES = [
    *("Z", "o", "ë", "s", "a", "w", "c", "a", "f", "e", "Ⅷ", ",", "🙂🙂", "a", "n", "d", "x", "y"),
    *("i", "n", "İ", "z", "m", "i", "r", "(", "電", "影", ")", "!"),
]


@pytest.mark.parametrize("max_length", [9, 16, 128])
def test_offsets_are_exact_with_accents_emoji_and_invisible_characters(encoder: Make, max_length: int) -> None:
    windows = encoder(max_length).encode_context("who", CONTEXT, 2)
    offsets = [[offset for offset in window.offsets if offset] for window in windows]
    assert len(windows) == {9: 10, 16: 3, 128: 1}[max_length]
    assert [CONTEXT[start:end] for start, end in stitched(offsets, 2)] == PIECES
    for window in windows:
        for at, offset in zip(window.ids, window.offsets, strict=True):
            if offset and VOCABULARY[at] != "[UNK]":
                start, end = offset
                letter = {"ë": "e", "İ": "i"}.get(CONTEXT[start:end], CONTEXT[start:end].lower())
                assert VOCABULARY[at].removeprefix("##") == letter


@pytest.mark.parametrize("letters", [1, 6, 40, 400])
@pytest.mark.parametrize(("max_length", "stride"), [(16, 4), (16, 0), (16, 500), (7, 1), (512, 128)])
def test_windows_of_a_context_repeat_the_question_share_the_stride_and_hold_every_token(
    encoder: Make, letters: int, max_length: int, stride: int
) -> None:
    context = " ".join(LETTERS[at * 7 % 26] for at in range(letters))
    asked = [CLS, VOCABULARY.index("who"), VOCABULARY.index("when"), SEP]
    (whole,) = encoder(4000).encode_context("who when", context, 0)
    windows = encoder(max_length).encode_context("who when", context, stride)
    stride = min(stride, (max_length - 5) // 2)
    assert all(window.ids[:4] == asked and window.ids[-1] == SEP for window in windows)
    assert all(window.type_ids == [0] * 4 + [1] * (len(window.ids) - 4) for window in windows)
    assert all(len(window.ids) == max_length for window in windows[:-1])
    assert len(windows[-1].ids) <= max_length
    assert all(list(window.offsets[:4]) == [None] * 4 and window.offsets[-1] is None for window in windows)
    ids, offsets = [window.ids[4:-1] for window in windows], [list(window.offsets)[4:-1] for window in windows]
    assert shared(offsets, stride)
    assert stitched(ids, stride) == whole.ids[4:-1]
    assert stitched(offsets, stride) == list(whole.offsets)[4:-1]
    assert len(whole.ids) == letters + 5


def test_every_token_of_a_megabyte_of_context_is_in_a_window(encoder: Make) -> None:
    line = "Zoë🙂🙂🙂🙂🙂🙂🙂🙂🙂🙂, when? "
    context = line * (2**20 // len(line) + 1)
    (one,) = encoder(384).encode_context("who", line, 128)
    expected = [
        (start + at, end + at) for at in range(0, len(context), len(line)) for start, end in filter(None, one.offsets)
    ]
    windows = encoder(384).encode_context("who", context, 128)
    assert stitched([window.offsets[3:-1] for window in windows], 128) == expected
    assert len(windows) > 500


def test_a_text_is_encoded_up_to_a_limit_and_refused_beyond(encoder: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebert.runtime.encode.MAX_CHARACTERS", 1_000)
    made, word = encoder(16), "ab "
    asks: list[Callable[[str], object]] = [made.encode, lambda text: made.encode_pair("ab", text[2:])]
    asks += [lambda text: made.encode_context("ab", text[2:], 4), lambda text: made.encode_words([text], 4)]
    for ask in asks:
        ask((word * 334)[:1_000])
        with pytest.raises(TextError, match=r"the text has 1,0\d\d characters, more than 1,000; split it"):
            ask(word * 334)


def test_a_question_that_leaves_room_for_one_token_still_reads_the_whole_context(encoder: Make) -> None:
    windows = encoder(8).encode_context("a b c d", "e f g", 128)
    assert [window.ids for window in windows] == [[CLS, 4, 5, 6, 7, SEP, at, SEP] for at in (8, 9, 10)]


@pytest.mark.parametrize("before", [[], ["who"]], ids=["first question", "after another question"])
@pytest.mark.parametrize(("tokens", "limit"), [(5, 8), (6, 8), (8, 8), (40, 8)])
def test_a_question_longer_than_a_window_is_refused(encoder: Make, before: list[str], tokens: int, limit: int) -> None:
    made = encoder(limit)
    for question in before:
        made.encode_context(question, "a b c", 0)
    message = refused(lambda: made.encode_context("a " * tokens, "b", 4))
    assert message == (
        f"the question has {tokens} tokens, which leaves no room for the context in a window of {limit}; "
        "shorten the question"
    )
    assert made.encode_context("who", "b", 4)[0].ids == [CLS, VOCABULARY.index("who"), SEP, 5, SEP]


@pytest.mark.parametrize(
    ("question", "context", "fact"),
    [
        ("", "a", "question '' holds no token; give at least one word"),
        ("\u200b", "a", "holds no token; give at least one word"),
        ("a", " \n", "context ' \\n' holds no token; give at least one word"),
        (5, "a", "question is int 5; give a str"),
        ("a", None, "context is NoneType None; give a str"),
        ("a\udc80", "a", "question holds the lone surrogate '\\udc80' at character 1"),
        ("a", "bc\udc80", "context holds the lone surrogate '\\udc80' at character 2"),
    ],
)
def test_a_question_or_context_that_is_no_text_is_refused(
    encoder: Make, question: Any, context: Any, fact: str
) -> None:
    assert fact in refused(lambda: encoder(16).encode_context(question, context, 4))


@pytest.mark.parametrize(
    ("text", "text_pair", "fact"),
    [
        ("", "a", "text '' holds no token; give at least one word"),
        ("a", " \n", "text pair ' \\n' holds no token; give at least one word"),
        ("a", "\u200b", "holds no token; give at least one word"),
    ],
)
def test_a_pair_with_a_blank_half_is_refused(encoder: Make, text: str, text_pair: str, fact: str) -> None:
    assert fact in refused(lambda: encoder(16).encode_pair(text, text_pair))


def test_one_way_of_encoding_leaves_nothing_behind_for_the_next(encoder: Make) -> None:
    long = "a b c d e f g h i j k l"
    ways: list[Callable[[TextEncoder], Any]] = [
        lambda made: made.encode(long),
        lambda made: made.encode_pair(long, long),
        lambda made: made.encode_words(long.split(), 3),
        lambda made: made.encode_words(long.split(), 1),
        lambda made: made.encode_context("a", long, 2),
        lambda made: made.encode_context("a b c", long, 1),
    ]
    alone = [way(encoder(8)) for way in ways]
    one = encoder(8)
    for order in (range(6), reversed(range(6)), [0, 4, 1, 5, 2, 4, 3, 0]):
        for at in order:
            assert ways[at](one) == alone[at]


def test_a_file_that_is_no_tokenizer_is_told(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(BundleError, match=r"tokenizer\.json: not a tokenizer .*export the bundle again"):
        TextEncoder(tmp_path / "tokenizer.json", 8)
