"""Text to token ids, by the tokenizer that the checkpoint came with."""

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
from edgebert.versions import check_version

if TYPE_CHECKING:
    from edgebert.runtime.added_tokens import AddedTokens


@dataclass(frozen=True)
class Encoded:
    """Token ids and segment ids of one input, special tokens included, and whether it was cut short.

    For texts given as words: `words` is each token's word number, None for special tokens. For a question in a context,
    and for a tagger's whole text: `offsets` is each token's stretch of characters of context or text, without white
    space at its ends; None for tokens outside it and for tokens of white space alone.
    """

    ids: list[int]
    type_ids: list[int]
    truncated: bool = False
    words: Sequence[int | None] = ()
    offsets: Sequence[tuple[int, int] | None] = ()


# A character takes 60 to 900 bytes while it is encoded; the longest novels have three million characters.
MAX_CHARACTERS = 4 << 20


class TextEncoder:
    """Encodes texts or pairs of texts, cut to `max_length` tokens or in overlapping windows of it, never padded."""

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
        """Encode a short word, known or not; gives why Rust code panics over it, "" where it does not."""
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
            TextError: Not a string, not valid Unicode, or nothing in it that makes a token.
        """
        check_text(text, "text")
        return self._encoded(text, None)

    def encode_pair(self, text: str, text_pair: str) -> Encoded:
        """Encode a text and its pair.

        Raises:
            TextError: Either is not a string or not valid Unicode, or nothing in one of them makes a token.
        """
        check_text(text, "text")
        check_text(text_pair, "text pair")
        return self._encoded(text, text_pair)

    def encode_words(self, words: Sequence[str], stride: int, spaced: bool = True) -> list[Encoded]:
        """Encode a text that is split into words, in windows that share `stride` tokens where it is too long for one.

        Args:
            words: The words.
            stride: Tokens that neighbouring windows share.
            spaced: Whether words get a space before them if the vocabulary is byte-level and adds none itself.

        Raises:
            TextError: A word is not valid Unicode, none makes a token, or they have too many characters, with a space
                between each two.
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
        """Encode a text as it is, in windows that share `stride` tokens where it is too long for one.

        Raises:
            TextError: Not a string, not valid Unicode, or nothing in it that makes a token.
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
        """Encode a question with a context, in windows that repeat the question and share `stride` context tokens.

        Where a window has little room beside the question they share less, so that half of each is new.

        Raises:
            TextError: Either is not a string or not valid Unicode, nothing in one of them makes a token, or the
                question leaves no room for the context.
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
        """Whether a word has a space put before it, since the byte-level vocabulary adds none itself."""
        # A byte-level vocabulary knows where a word starts by the space before it.
        split = self._tokenizer.pre_tokenizer
        return isinstance(split, ByteLevel) and not split.add_prefix_space

    @cached_property
    def added_tokens(self) -> AddedTokens:
        """The tokens that were added to the vocabulary."""
        from edgebert.runtime.added_tokens import AddedTokens

        return AddedTokens(self._tokenizer)

    def special_tokens(self, pair: bool) -> int:
        """Count the special tokens around a text or a pair."""
        return int(self._tokenizer.num_special_tokens_to_add(pair))

    def has_id(self, number: int) -> bool:
        """Say whether a number is below the vocabulary's size or is a token's id."""
        return number < self.vocabulary_size or (number < 1 << 32 and self._tokenizer.id_to_token(number) is not None)

    @property
    def vocabulary_size(self) -> int:
        """Tokens that there are, special ones included."""
        return int(self._tokenizer.get_vocab_size())

    def token_id(self, token: str) -> int | None:
        """Number of a token of the vocabulary, None for what is none."""
        number: int | None = self._tokenizer.token_to_id(token)
        return number

    def special_ids(self) -> list[int]:
        """Numbers of the special tokens: [CLS], [SEP], [MASK], [PAD], [UNK], or what the family calls them."""
        added = self._tokenizer.get_added_tokens_decoder()
        return [number for number, token in added.items() if token.special]

    def token(self, number: int) -> str:
        """A token as it reads in text; one that goes on a word keeps the mark of it."""
        return self.decode([number], special=True).strip()

    def decode(self, ids: Sequence[int], *, special: bool) -> str:
        """Text of tokens, by the tokenizer's own decoder; `special` says whether special tokens are written too."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=not special))

    def _encoded(self, text: str, text_pair: str | None) -> Encoded:
        # Cut here: of two long texts tokenizers would make every combination of what is left over.
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
        """Run the tokenizer; the length of a text that comes in words has been checked.

        Raises:
            TextError: It cannot encode the text, or the text is too long to try.
        """
        check_length(sum(len(text) for text in texts if isinstance(text, str)))
        try:
            return self._tokenizer.encode(*texts, **options)
        except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
            raise TextError(f"the bundle's tokenizer cannot encode the text ({panic_reason(error)})") from None

    def _room(self, taken: int) -> int:
        """Tokens left in a window."""
        return self.max_length - taken

    def _overlap(self, stride: int) -> None:
        """Have tokenizers make windows."""
        if self._stride != stride:
            self._tokenizer.enable_truncation(self.max_length, stride=max(0, stride))
            self._stride = stride

    def _keep_whole(self) -> None:
        if self._stride is not None:
            self._tokenizer.no_truncation()
            self._stride = None


def panic_reason(error: BaseException) -> str:
    """First line of an error of tokenizers: a bare Exception, or a panic, which is no Exception.

    Raises:
        BaseException: The error itself, if it is an interrupt or an exit.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    return f"{(str(error).splitlines() or [type(error).__name__])[0]:.200}"


def _cut(encoding: Encoding, max_length: int, side: str) -> Encoded:
    """Cut one or two texts on a side; of two the longer is cut first, as tokenizers' longest_first does it."""
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
    """Split a context into windows of at most `room` tokens, each with the question and special tokens around it.

    A window that holds nothing but white space is left out: no answer can be in it.

    Args:
        encoding: Question and context.
        stretches: Characters of the context that each of its tokens stands for.
        first: Number of the context's first token.
        room: Context tokens in a window.
        stride: Context tokens that neighbouring windows share.
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
    """Characters of a text that each token of a window stands for; None for special tokens and white space."""
    return [
        None if part is None else _without_space(text, *_untrimmed(text, *offset))
        for part, offset in zip(window.sequence_ids, window.offsets, strict=True)
    ]


def _untrimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """A token's stretch with its one character, if the tokenizer took that for the space that it put before the text.

    A byte-level post-processor whose `add_prefix_space` is not that of the pre-tokenizer trims the first token so.
    """
    cut = 0 < start == end and not text[start - 1].isspace()
    return start - cut, end


def _without_space(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Cut white space from both ends of a stretch of a text; None if nothing else is in it.

    Tokens of byte-level BPE and Unigram vocabularies may stand for a space alone, or for one before a word.
    """
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def check_length(characters: int) -> None:
    """Refuse a text of more characters than are read.

    Raises:
        TextError: Says how many there are.
    """
    if characters > MAX_CHARACTERS:
        raise TextError(f"the text has {characters:,} characters, more than {MAX_CHARACTERS:,}; give it in parts")


def check_text(text: object, what: str) -> None:
    """Refuse what is not a string of valid Unicode.

    Raises:
        TextError: Says what it is and how to mend it.
    """
    if not isinstance(text, str):
        raise TextError(f"{what} is {type(text).__name__} {text!r:.40}; give a str")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TextError(
            f"{what} holds the lone surrogate {text[error.start]!r} at character {error.start}; "
            "decode the source as UTF-8 with errors='replace'"
        ) from None
