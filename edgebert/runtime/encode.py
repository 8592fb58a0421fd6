"""Convert text to token ids with the checkpoint's tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tokenizers
from tokenizers import Encoding, Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from edgebert.errors import BundleError, TextError
from edgebert.escape import shown_value
from edgebert.versions import check_version

if TYPE_CHECKING:
    from edgebert.runtime.added_tokens import AddedTokens


@dataclass(frozen=True)
class Encoded:
    """Token ids and segment ids of one input, special tokens included, and whether it was truncated.

    For texts given as words, `words` holds each token's word number; None for special tokens. For a question with a
    context, and for a tagger's raw text, `offsets` holds each token's character range in the context or text, without
    white space at its ends; None for tokens outside it and for tokens of only white space.
    """

    ids: list[int]
    type_ids: list[int]
    truncated: bool = False
    words: Sequence[int | None] = ()
    offsets: Sequence[tuple[int, int] | None] = ()


# Encoding needs 60 to 900 bytes per character; the longest novels have three million characters.
MAX_CHARACTERS = 4 << 20


class TextEncoder:
    """Encodes texts or pairs of texts, truncated to `max_length` tokens or in overlapping windows, never padded."""

    def __init__(self, tokenizer_file: Path, max_length: int) -> None:
        """Open a `tokenizer.json`.

        Raises:
            BundleError: The file is not a tokenizer.
            MissingDependencyError: The tokenizers package is too old.
        """
        check_version("tokenizers", tokenizers.__version__)
        try:
            self._tokenizer = Tokenizer.from_file(str(tokenizer_file))
        except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
            raise BundleError(
                f"{tokenizer_file}: not a tokenizer ({panic_reason(error)}); export the bundle again"
            ) from None
        self._tokenizer.no_padding()
        self.max_length = max_length
        self._side = (self._tokenizer.truncation or {}).get("direction", "right")
        self._tokenizer.no_truncation()
        self._stride: int | None = None

    def panic(self) -> str:
        """Encode a known and an unknown word; return the reason if the Rust code panics, else ""."""
        try:
            self._tokenizer.encode("a")
        except Exception:  # noqa: BLE001 - tokenizers raises no other kind
            return ""
        except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
            return panic_reason(error)
        return ""

    def encode(self, text: str) -> Encoded:
        """Encode one text.

        Raises:
            TextError: Not a string, not valid Unicode, or without any token.
        """
        check_text(text, "text")
        return self._encoded(text, None)

    def encode_pair(self, text: str, text_pair: str) -> Encoded:
        """Encode a text and its pair.

        Raises:
            TextError: One of them is not a string, not valid Unicode, or without any token.
        """
        check_text(text, "text")
        check_text(text_pair, "text pair")
        return self._encoded(text, text_pair)

    def encode_words(self, words: Sequence[str], stride: int, spaced: bool = True) -> list[Encoded]:
        """Encode a text that is split into words.

        A text that is too long is encoded in windows that share `stride` tokens.

        Args:
            words: The words.
            stride: Tokens that neighbouring windows share.
            spaced: Whether to put a space before every word if the vocabulary is byte-level and adds none itself.

        Raises:
            TextError: A word is not valid Unicode, no word makes a token, or the words and spaces have too many
                characters.
        """
        for word in words:
            check_text(word, "word")
        check_length(sum(map(len, words)) + max(0, len(words) - 1))
        given = [f" {word}" for word in words] if spaced and self.spaces_words else list(words)
        self._overlap(min(stride, self._room(self._tokenizer.num_special_tokens_to_add(False)) - 1))
        encoding = self._tokenized(given, is_pretokenized=True)
        if all(encoding.special_tokens_mask):
            raise TextError(f"text {' '.join(words)[:40]!r} holds no token; give at least one word")
        windows = [encoding, *encoding.overflowing]
        return [Encoded(window.ids, window.type_ids, False, words=window.word_ids) for window in windows]

    def encode_text(self, text: str, stride: int) -> list[Encoded]:
        """Encode a raw text; one that is too long is encoded in windows that share `stride` tokens.

        Raises:
            TextError: Not a string, not valid Unicode, or without any token.
        """
        check_text(text, "text")
        self._overlap(min(stride, self._room(self._tokenizer.num_special_tokens_to_add(False)) - 1))
        encoding = self._tokenized(text)
        if 0 not in encoding.sequence_ids:
            raise TextError(f"text {text[:40]!r} holds no token; give at least one word")
        return [
            Encoded(window.ids, window.type_ids, offsets=_stretches(window, text))
            for window in (encoding, *encoding.overflowing)
        ]

    def encode_context(self, question: str, context: str, stride: int) -> list[Encoded]:
        """Encode a question with a context.

        A long context is encoded in windows that repeat the question and share `stride` context tokens.

        If the question leaves little room, windows share fewer tokens, so that half of each is new.

        Raises:
            TextError: One of them is not a string, not valid Unicode or without any token, or the question leaves no
                room for the context.
        """
        check_text(question, "question")
        check_text(context, "context")
        self._keep_whole()
        encoding = self._tokenized(question, context)
        parts = encoding.sequence_ids
        asked, found = parts.count(0), parts.count(1)
        room = self._room(len(parts) - found)
        if not asked:
            raise TextError(f"question {question[:40]!r} holds no token; give at least one word")
        if room < 1:
            raise TextError(
                f"the question has {asked} tokens, which leaves no room for the context in a window of "
                f"{self.max_length}; shorten the question"
            )
        first = parts.index(1) if found else len(parts)
        stretches = [_without_space(context, *offset) for offset in encoding.offsets[first : first + found]]
        if not any(stretches):
            raise TextError(f"context {context[:40]!r} holds no token; give at least one word")
        return _windows(encoding, stretches, first, room, min(stride, room // 2))

    @property
    def spaces_words(self) -> bool:
        """Whether to put a space before a word, because the byte-level vocabulary adds none itself."""
        # A byte-level vocabulary recognises the start of a word by the space before it.
        split = self._tokenizer.pre_tokenizer
        return isinstance(split, ByteLevel) and not split.add_prefix_space

    @cached_property
    def added_tokens(self) -> AddedTokens:
        """Tokens that were added to the vocabulary."""
        from edgebert.runtime.added_tokens import AddedTokens

        return AddedTokens(self._tokenizer)

    def special_tokens(self, pair: bool) -> int:
        """Number of special tokens around a text or a pair."""
        return int(self._tokenizer.num_special_tokens_to_add(pair))

    def has_id(self, number: int) -> bool:
        """Whether a number is below the vocabulary's size or is a token's id."""
        return number < self.vocabulary_size or (number < 1 << 32 and self._tokenizer.id_to_token(number) is not None)

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def token_id(self, token: str) -> int | None:
        """Id of a token; None if the vocabulary does not have it."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    def special_ids(self) -> list[int]:
        """Ids of the special tokens: [CLS], [SEP], [MASK], [PAD], [UNK], or the family's names for them."""
        added = self._tokenizer.get_added_tokens_decoder()
        return [number for number, token in added.items() if token.special]

    def token(self, number: int) -> str:
        """Text of one token, with the mark of a token that continues a word."""
        return self.decode([number], special=True).strip()

    def decode(self, ids: Sequence[int], *, special: bool) -> str:
        """Decode tokens to text; `special` says whether to include special tokens."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=not special))

    def _encoded(self, text: str, text_pair: str | None) -> Encoded:
        # Cut here: for two long texts, tokenizers would make all combinations of the remaining parts.
        self._keep_whole()
        encoding = self._tokenized(text, text_pair)
        found = set(encoding.sequence_ids)
        if 0 not in found:
            raise TextError(f"text {text[:40]!r} holds no token; give at least one word")
        if text_pair is not None and 1 not in found:
            raise TextError(f"text pair {text_pair[:40]!r} holds no token; give at least one word")
        if len(encoding) <= self.max_length:
            return Encoded(encoding.ids, encoding.type_ids)
        return _cut(encoding, self.max_length, self._side)

    def _tokenized(self, *texts: Any, **options: Any) -> Encoding:  # noqa: ANN401
        """Run the tokenizer; for a text given as words, the length has been checked already.

        Raises:
            TextError: It cannot encode the text, or the text is too long.
        """
        check_length(sum(len(text) for text in texts if isinstance(text, str)))
        try:
            return self._tokenizer.encode(*texts, **options)
        except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
            raise TextError(f"the bundle's tokenizer cannot encode the text ({panic_reason(error)})") from None

    def _room(self, taken: int) -> int:
        """Number of tokens left in a window."""
        return self.max_length - taken

    def _overlap(self, stride: int) -> None:
        """Set the tokenizers library to make windows."""
        if self._stride != stride:
            self._tokenizer.enable_truncation(self.max_length, stride=max(0, stride))
            self._stride = stride

    def _keep_whole(self) -> None:
        if self._stride is not None:
            self._tokenizer.no_truncation()
            self._stride = None


def panic_reason(error: BaseException) -> str:
    """First line of an error of tokenizers: a bare Exception, or a Rust panic, which is not an Exception.

    Raises:
        BaseException: The error itself, if it is an interrupt or an exit.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    return f"{(str(error).splitlines() or [type(error).__name__])[0]:.200}"


def _cut(encoding: Encoding, max_length: int, side: str) -> Encoded:
    """Truncate one or two texts on one side; of two, the longer one first, as `longest_first` in tokenizers."""
    parts = encoding.sequence_ids
    lengths = parts.count(0), parts.count(1)
    room = max(0, max_length - (len(parts) - sum(lengths)))
    shorter = min(lengths)
    # The odd token goes to the longer text, and to the second of two equally long ones.
    kept = [min(shorter, room // 2), 0]
    kept[1] = room - kept[0]
    if lengths[0] > lengths[1]:
        kept.reverse()
    starts = [parts.index(text) if length else 0 for text, length in enumerate(lengths)]
    if side == "left":
        starts = [start + length - rest for start, length, rest in zip(starts, lengths, kept, strict=True)]
    chosen = [at for at, text in enumerate(parts) if text is None or 0 <= at - starts[text] < kept[text]]
    ids, type_ids = encoding.ids, encoding.type_ids
    return Encoded([ids[at] for at in chosen], [type_ids[at] for at in chosen], truncated=True)


def _windows(
    encoding: Encoding, stretches: Sequence[tuple[int, int] | None], first: int, room: int, stride: int
) -> list[Encoded]:
    """Split a context into windows of at most `room` tokens, each with the question and special tokens.

    A window of only white space is left out, since it cannot contain an answer.

    Args:
        encoding: Question and context.
        stretches: Character range of each of the context's tokens.
        first: Position of the context's first token.
        room: Number of context tokens in a window.
        stride: Number of context tokens that neighbouring windows share.
    """
    ids, type_ids, found = encoding.ids, encoding.type_ids, len(stretches)
    end = first + found
    windows = []
    for start in range(0, max(1, found - stride), room - stride):
        stop = min(start + room, found)
        if any(stretches[start:stop]):
            inside = slice(first + start, first + stop)
            windows.append(
                Encoded(
                    [*ids[:first], *ids[inside], *ids[end:]],
                    [*type_ids[:first], *type_ids[inside], *type_ids[end:]],
                    offsets=[*[None] * first, *stretches[start:stop], *[None] * (len(ids) - end)],
                )
            )
    return windows


def _stretches(window: Encoding, text: str) -> list[tuple[int, int] | None]:
    """Character ranges of a window's tokens; None for special tokens and white space."""
    return [
        None if part is None else _without_space(text, *_untrimmed(text, *offset))
        for part, offset in zip(window.sequence_ids, window.offsets, strict=True)
    ]


def _untrimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Restore the first character of a token's range, if the tokenizer mistook it for a space that it had added.

    This happens if a byte-level post-processor and the pre-tokenizer differ in `add_prefix_space`.
    """
    cut = 0 < start == end and not text[start - 1].isspace()
    return start - cut, end


def _without_space(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Strip white space from both ends of a character range; None if nothing is left.

    Tokens of byte-level BPE and Unigram vocabularies may be a single space, or include the space before a word.
    """
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def check_length(characters: int) -> None:
    """Refuse a text with too many characters.

    Raises:
        TextError: Names the number of characters.
    """
    if characters > MAX_CHARACTERS:
        raise TextError(f"the text has {characters:,} characters, more than {MAX_CHARACTERS:,}; split it")


def check_text(text: object, what: str) -> None:
    """Refuse what is not a string of valid Unicode.

    Raises:
        TextError: Says what is wrong and how to correct it.
    """
    if not isinstance(text, str):
        raise TextError(f"{what} is {type(text).__name__} {shown_value(text)}; give a str")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"{what} holds the lone surrogate {text[error.start]!r} at character {error.start}; "
            "decode the source as UTF-8 with errors='replace'"
        ) from None
